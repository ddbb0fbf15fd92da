import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";
import { secretYaml } from "../../support/certificates.ts";

/** All that a source hands to the gateway at one time. */
export interface Offer {
  readonly identity: IssuedCertificate;
  /** PEM, one entry a root. */
  readonly anchors: readonly string[];
}

/** One way for credentials to reach the gateway: where they are named, and how they are replaced. */
export interface RotatingSource {
  readonly name: string;
  /** What a TLSContext says to have its credentials from here, for a gateway whose files are in `directory`. */
  context(directory: string): Record<string, unknown>;
  /** The files that there must be before the gateway starts. */
  files(offer: Offer): Readonly<Record<string, string>>;
  /** Replaces what there is, as a careful issuer does. Resolves when it is written, not when it is in effect. */
  offer(directory: string, offer: Offer): Promise<void>;
}

export const SOURCES: readonly RotatingSource[] = [
  {
    name: "a Secret",
    context: () => ({ secret: "certs" }),
    files: (offer) => ({ "secret.yaml": secretText(offer) }),
    offer: (directory, offer) => replace(directory, "secret.yaml", secretText(offer)),
  },
  {
    name: "certificate files",
    context: (directory) => ({
      cert_chain_file: join(directory, "tls.crt"),
      private_key_file: join(directory, "tls.key"),
      cacert_chain_file: join(directory, "ca.crt"),
    }),
    files: ({ identity, anchors }) => ({
      "tls.crt": identity.certificate,
      "tls.key": identity.privateKey,
      "ca.crt": anchors.join(""),
    }),
    async offer(directory, { identity, anchors }) {
      // Key and certificate cannot be swapped in one step here; between the two the pair does not match and is not taken.
      await replace(directory, "tls.key", identity.privateKey);
      await replace(directory, "tls.crt", identity.certificate);
      await replace(directory, "ca.crt", anchors.join(""));
    },
  },
];

function secretText({ identity, anchors }: Offer): string {
  return secretYaml("certs", { ...identity, ca: anchors.join("") });
}

async function replace(directory: string, file: string, text: string): Promise<void> {
  await writeFile(join(directory, `.${file}.tmp`), text);
  await rename(join(directory, `.${file}.tmp`), join(directory, file));
}
