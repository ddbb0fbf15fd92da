import { createPrivateKey } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";
import { secretYaml } from "../../support/certificates.ts";
import { consulResolverYaml } from "../../support/consul.ts";
import { engineUnderTest } from "../../support/engine-under-test.ts";
import { startIstioSds } from "../../support/istio-sds.ts";
import { derOf, startWorkloadApi } from "../../support/workload-api.ts";
import { startConsulAgent } from "./consul-agent.ts";
import { SPIFFE_ID } from "./world.ts";

/** All that a source hands to the gateway at one time. */
export interface Offer {
  readonly identity: IssuedCertificate;
  /** PEM, one entry a root. */
  readonly anchors: readonly string[];
  /** PEM, one entry a root. */
  readonly lists: readonly string[];
}

/** One way for credentials to reach the gateway, set up in a folder that it reads. */
export interface RotatingSource {
  /** What a TLSContext says to have its credentials from here. */
  readonly context: Record<string, unknown>;
  /** Envoy knows no `allow-missing`, and its SPIFFE validator no lists: no step is about them alone. */
  readonly withoutLists?: boolean;
  /** Replaces what there is, as a careful issuer does. Resolves when it is said, not when it is in effect. */
  offer(offer: Offer): Promise<void>;
  stop(): Promise<void>;
}

export const SOURCES: Readonly<Record<string, (directory: string) => Promise<RotatingSource>>> = {
  "a Secret": async (directory) => ({
    context: { secret: "certs", verify: { crl_secret: "certs" } },
    offer: ({ identity, anchors, lists }) =>
      replace(
        directory,
        "secret.yaml",
        secretYaml("certs", { ...identity, ca: anchors.join(""), crl: lists.join("") }),
      ),
    stop: async () => {},
  }),
  "certificate files": async (directory) => ({
    context: {
      cert_chain_file: join(directory, "tls.crt"),
      private_key_file: join(directory, "tls.key"),
      cacert_chain_file: join(directory, "ca.crt"),
      verify: { crl_file: join(directory, "crl.pem") },
    },
    // Key and certificate cannot be swapped in one step here; between the two the pair does not match and is not taken.
    async offer({ identity, anchors, lists }) {
      await replace(directory, "tls.key", identity.privateKey);
      await replace(directory, "tls.crt", identity.certificate);
      await replace(directory, "ca.crt", anchors.join(""));
      await replace(directory, "crl.pem", lists.join(""));
    },
    stop: async () => {},
  }),
  "a SPIFFE agent": async (directory) => {
    const agent = await startWorkloadApi();
    const withoutLists = engineUnderTest() === "envoy";
    return {
      context: {
        identity: { spiffe: { socket: agent.path } },
        ...(withoutLists ? {} : { verify: listsBeside(directory) }),
      },
      withoutLists,
      async offer({ identity, anchors, lists }) {
        await replace(directory, "crl.pem", lists.join(""));
        const x509SvidKey = createPrivateKey(identity.privateKey).export({ type: "pkcs8", format: "der" });
        agent.answer({
          svids: [
            {
              spiffeId: SPIFFE_ID,
              x509Svid: derOf(identity.certificate),
              x509SvidKey: new Uint8Array(x509SvidKey),
              bundle: derOf(anchors.join("")),
            },
          ],
        });
      },
      stop: () => agent.close(),
    };
  },
  "Istio's SDS": async (directory) => {
    const agent = await startIstioSds();
    const withoutLists = engineUnderTest() === "envoy";
    return {
      context: {
        identity: { istio_sds: { socket: agent.path } },
        ...(withoutLists ? {} : { verify: listsBeside(directory) }),
      },
      withoutLists,
      async offer({ identity, anchors, lists }) {
        await replace(directory, "crl.pem", lists.join(""));
        agent.push({ default: identity, ROOTCA: { ca: anchors.join("") } });
      },
      stop: () => agent.close(),
    };
  },
  "Consul Connect": async (directory) => {
    const agent = await startConsulAgent("gateway");
    const withoutLists = engineUnderTest() === "envoy";
    await replace(directory, "resolver.yaml", consulResolverYaml("dc1", agent.address));
    return {
      context: {
        identity: { consul: { resolver: "dc1", service: "gateway" } },
        ...(withoutLists ? {} : { verify: listsBeside(directory) }),
      },
      withoutLists,
      async offer(offer) {
        await replace(directory, "crl.pem", offer.lists.join(""));
        agent.say(offer);
      },
      stop: () => agent.close(),
    };
  },
};

/**
 * Of issuers that have none to give. The file is noticed up to half a second after the issuer's roots, and a new root's list
 * may be missing for as long.
 */
function listsBeside(directory: string): Record<string, unknown> {
  return {
    crl_file: join(directory, "crl.pem"),
    crl_policy: "allow-missing",
    trust_domains: ["example.org"],
  };
}

async function replace(directory: string, file: string, text: string): Promise<void> {
  await writeFile(join(directory, `.${file}.tmp`), text);
  await rename(join(directory, `.${file}.tmp`), join(directory, file));
}
