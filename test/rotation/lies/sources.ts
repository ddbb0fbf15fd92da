import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secretYaml } from "../../support/certificates.ts";
import { consulResolverYaml } from "../../support/consul.ts";
import { answerJson, type Question, startFakeAgent } from "../../support/fake-agent.ts";
import { startIstioSds } from "../../support/istio-sds.ts";
import { startWorkloadApi } from "../../support/workload-api.ts";
import { gatewayId, peerId } from "../soak/world.ts";

/** What an issuer says, word by word, whether it is so or not. */
export interface Told {
  readonly certificate: string;
  readonly privateKey: string;
  /** PEM, one entry a root. */
  readonly anchors: readonly string[];
}

/** A source of credentials that says whatever it is told to say. */
export interface Liar {
  /** What a TLSContext says to have its credentials from here. */
  readonly context: Record<string, unknown>;
  tell(told: Told): Promise<void>;
  /** Of sources that are asked. */
  readonly issuer?: {
    /** Questions, streams and acknowledgements so far. */
    asked(): number;
    /** Connections end; whoever comes again is let in and told nothing until `tell`. */
    fallSilent(): Promise<void>;
  };
  stop(): Promise<void>;
}

export const LIARS: Readonly<Record<string, (directory: string, site: string) => Promise<Liar>>> = {
  "a Secret": async (directory, site) => ({
    context: { secret: site },
    tell: ({ anchors, ...pair }) =>
      replace(directory, `${site}.secret.yaml`, secretYaml(site, { ...pair, ca: anchors.join("") })),
    stop: async () => {},
  }),
  "certificate files": async () => {
    const folder = await mkdtemp(join(tmpdir(), "credence-lies-"));
    return {
      context: {
        cert_chain_file: join(folder, "tls.crt"),
        private_key_file: join(folder, "tls.key"),
        cacert_chain_file: join(folder, "ca.crt"),
      },
      async tell({ certificate, privateKey, anchors }) {
        await replace(folder, "tls.key", privateKey);
        await replace(folder, "tls.crt", certificate);
        await replace(folder, "ca.crt", anchors.join(""));
      },
      stop: () => rm(folder, { recursive: true }),
    };
  },
  "a SPIFFE agent": async (_directory, site) => {
    const agent = await startWorkloadApi();
    return {
      context: {
        identity: { spiffe: { socket: agent.path, id: gatewayId(site) } },
        verify: { spiffe_ids: [peerId(site)] },
      },
      async tell({ certificate, privateKey, anchors }) {
        agent.answer({
          svids: [
            {
              spiffeId: gatewayId(site),
              x509Svid: derOf(certificate),
              x509SvidKey: derOf(privateKey),
              bundle: derOf(anchors.join("")),
            },
          ],
        });
      },
      issuer: {
        asked: () => agent.opened.withHeader + agent.opened.without,
        async fallSilent() {
          agent.fallSilent();
          await agent.leave();
          await agent.comeBack();
        },
      },
      stop: () => agent.close(),
    };
  },
  "Istio's SDS": async (_directory, site) => {
    const agent = await startIstioSds();
    return {
      context: {
        identity: { istio_sds: { socket: agent.path } },
        verify: { spiffe_ids: [peerId(site)] },
      },
      async tell({ anchors, ...pair }) {
        agent.push({ default: pair, ROOTCA: { ca: anchors.join("") } });
      },
      issuer: {
        asked: () => agent.requests.length,
        async fallSilent() {
          agent.fallSilent();
          await agent.leave();
          await agent.comeBack();
        },
      },
      stop: () => agent.close(),
    };
  },
  "Consul Connect": async (directory, site) => {
    let told: Told | null = null;
    let index = 0;
    const waiting = new Set<{ answer: () => void; response: ServerResponse }>();
    const answer = (question: Question, response: ServerResponse): void => {
      if (told === null || index <= Number(question.query.get("index") ?? 0)) {
        const one = { answer: () => answer(question, response), response };
        waiting.add(one);
        response.on("close", () => waiting.delete(one));
        return;
      }
      const body = question.path.endsWith("/roots")
        ? { Roots: told.anchors.map((pem) => ({ RootCert: pem })) }
        : { CertPEM: told.certificate, PrivateKeyPEM: told.privateKey };
      answerJson(response, body, index);
    };
    const agent = await startFakeAgent(answer);
    await replace(directory, `${site}.resolver.yaml`, consulResolverYaml(site, agent.address));
    return {
      context: {
        identity: { consul: { resolver: site, service: "gateway" } },
        verify: { spiffe_ids: [peerId(site)] },
      },
      async tell(said) {
        told = said;
        index++;
        for (const one of [...waiting]) {
          waiting.delete(one);
          one.answer();
        }
      },
      issuer: {
        asked: () => agent.questions.length,
        async fallSilent() {
          told = null;
          for (const { response } of waiting) response.destroy();
        },
      },
      stop: () => agent.close(),
    };
  },
};

/** As an agent that speaks DER has it: of what is no PEM the bytes themselves. */
function derOf(text: string): Uint8Array<ArrayBuffer> {
  const blocks = [...text.matchAll(/-----BEGIN[^-]+-----([^-]*)-----END/g)];
  if (blocks.length === 0) return new Uint8Array(Buffer.from(text));
  return new Uint8Array(Buffer.concat(blocks.map(([, body = ""]) => Buffer.from(body, "base64"))));
}

async function replace(directory: string, file: string, text: string): Promise<void> {
  await writeFile(join(directory, `.${file}.tmp`), text);
  await rename(join(directory, `.${file}.tmp`), join(directory, file));
}
