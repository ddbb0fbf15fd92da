import { createPrivateKey } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";
import { secretYaml } from "../../support/certificates.ts";
import { consulResolverYaml } from "../../support/consul.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import type { GrpcServer } from "../../support/grpc-server.ts";
import { startIstioSds } from "../../support/istio-sds.ts";
import { derOf, startWorkloadApi } from "../../support/workload-api.ts";
import { startConsulAgent } from "./consul-agent.ts";
import { gatewayId, peerId } from "./world.ts";

/** All that a source hands to the gateway at one time. */
export interface Offer {
  readonly identity: IssuedCertificate;
  /** PEM, one entry a root. */
  readonly anchors: readonly string[];
  /** PEM, one entry a root. */
  readonly lists: readonly string[];
}

/** One way for the credentials of one site to reach the gateway, set up in a folder that it reads. */
export interface RotatingSource {
  /** What a TLSContext says to have its credentials from here. */
  readonly context: Record<string, unknown>;
  /** No step is about revocation lists: the engine heeds none from here, and says so. */
  readonly withoutLists?: boolean;
  /** Of sources with somebody to ask. */
  readonly issuer?: Issuer;
  /** Replaces what there is, as a careful issuer does. Resolves when it is said, not when it is in effect. */
  offer(offer: Offer): Promise<void>;
  stop(): Promise<void>;
}

/** Who may go away and come back. */
export interface Issuer {
  leave(): Promise<void>;
  comeBack(): Promise<void>;
  /** How often it was asked since it left, and refused. */
  refused(): number;
}

export type StartSource = (directory: string, site: string) => Promise<RotatingSource>;

export const SOURCES: Readonly<Record<string, StartSource>> = {
  "a Secret": async (directory, site) => ({
    context: { secret: site, verify: { crl_secret: site } },
    offer: ({ identity, anchors, lists }) =>
      replace(
        directory,
        `${site}.secret.yaml`,
        secretYaml(site, { ...identity, ca: anchors.join(""), crl: lists.join("") }),
      ),
    stop: async () => {},
  }),
  "certificate files": async () => {
    const folder = await mkdtemp(join(tmpdir(), "credence-soak-"));
    return {
      context: {
        cert_chain_file: join(folder, "tls.crt"),
        private_key_file: join(folder, "tls.key"),
        cacert_chain_file: join(folder, "ca.crt"),
        verify: { crl_file: join(folder, "crl.pem") },
      },
      // Key and certificate cannot be swapped in one step here; between the two the pair does not match and is not taken.
      async offer({ identity, anchors, lists }) {
        await replace(folder, "tls.key", identity.privateKey);
        await replace(folder, "tls.crt", identity.certificate);
        await replace(folder, "ca.crt", anchors.join(""));
        await replace(folder, "crl.pem", lists.join(""));
      },
      stop: () => rm(folder, { recursive: true }),
    };
  },
  "a SPIFFE agent": async (_directory, site) => {
    const agent = await startWorkloadApi();
    // Envoy's validator for trust domains takes none.
    const withoutLists = engineUnderTest() === "envoy";
    return {
      context: {
        identity: { spiffe: { socket: agent.path, id: gatewayId(site) } },
        verify: { spiffe_ids: [peerId(site)], ...(withoutLists ? {} : { crl_policy: "require" }) },
      },
      withoutLists,
      issuer: refusing(agent),
      async offer({ identity, anchors, lists }) {
        const x509SvidKey = createPrivateKey(identity.privateKey).export({ type: "pkcs8", format: "der" });
        agent.answer({
          svids: [
            {
              spiffeId: gatewayId(site),
              x509Svid: derOf(identity.certificate),
              x509SvidKey: new Uint8Array(x509SvidKey),
              bundle: derOf(anchors.join("")),
            },
          ],
          crl: lists.map(derOfList),
        });
      },
      stop: () => agent.close(),
    };
  },
  "Istio's SDS": async (directory, site) => {
    const agent = await startIstioSds();
    return {
      issuer: refusing(agent),
      context: { identity: { istio_sds: { socket: agent.path } }, verify: listsBeside(site) },
      async offer(offer) {
        // There is no end to them, and the memory of this process is looked at.
        agent.requests.length = 0;
        agent.push({ default: offer.identity, ROOTCA: { ca: offer.anchors.join("") } });
        await replaceLists(directory, site, offer);
      },
      stop: () => agent.close(),
    };
  },
  "Consul Connect": async (directory, site) => {
    const agent = await startConsulAgent("gateway");
    await replace(directory, `${site}.resolver.yaml`, consulResolverYaml(site, agent.address));
    return {
      issuer: {
        leave: async () => agent.leave(),
        comeBack: async () => agent.comeBack(),
        refused: () => agent.refused,
      },
      context: { identity: { consul: { resolver: site, service: "gateway" } }, verify: listsBeside(site) },
      async offer(offer) {
        agent.say(offer);
        await replaceLists(directory, site, offer);
      },
      stop: () => agent.close(),
    };
  },
};

/** Somebody at its socket takes connections and ends them while it is away. */
function refusing(agent: GrpcServer): Issuer {
  let refused = 0;
  const stand = createServer((socket) => {
    refused++;
    socket.destroy();
  });
  return {
    async leave() {
      await agent.leave();
      refused = 0;
      await new Promise<void>((resolve) => stand.listen(agent.path, resolve));
    },
    async comeBack() {
      await new Promise((resolve) => stand.close(resolve));
      await agent.comeBack();
    },
    refused: () => refused,
  };
}

/** Of issuers that have no lists to give: they come in a Secret. */
function listsBeside(site: string): Record<string, unknown> {
  return { spiffe_ids: [peerId(site)], crl_secret: `${site}-lists` };
}

function replaceLists(directory: string, site: string, { lists }: Offer): Promise<void> {
  return replace(directory, `${site}.lists.yaml`, secretYaml(`${site}-lists`, { crl: lists.join("") }));
}

function derOfList(pem: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64"));
}

async function replace(directory: string, file: string, text: string): Promise<void> {
  await writeFile(join(directory, `.${file}.tmp`), text);
  await rename(join(directory, `.${file}.tmp`), join(directory, file));
}
