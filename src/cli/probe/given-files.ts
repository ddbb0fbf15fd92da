import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Credential, TrustBundle } from "../../credentials/credential.ts";
import { certificateFacts } from "../../x509/facts.ts";
import { parsePem } from "../../x509/pem.ts";
import { spiffeIdOf } from "../../x509/spiffe.ts";

/** `--cert`, `--key`, `--ca`: what is presented and trusted instead of what resources have. */
export interface GivenFiles {
  readonly chain: string | null;
  readonly key: string | null;
  /** One PEM certificate an entry; null: none was given. */
  readonly anchors: readonly string[] | null;
  /** Null: there is no certificate with its key. */
  readonly credential: Credential | null;
  readonly trust: TrustBundle | null;
  /** The key is that of another certificate. */
  readonly mismatch: boolean;
}

export interface FileFlags {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

/** The names that they have where resources' would have those of the store. */
export const GIVEN_CREDENTIAL = "--cert";
export const GIVEN_TRUST = "--ca";

/**
 * Reads the files. They are not held to what the store admits: an expired certificate is what somebody may want to have
 * explained. The text says which file is of no use; what is in it is never quoted.
 */
export function readGivenFiles({ cert, key, ca }: FileFlags): GivenFiles | string {
  const chain = cert === undefined ? null : certificatesIn(cert, "--cert");
  if (chain !== null && "problem" in chain) return chain.problem;
  const anchors = ca === undefined ? null : certificatesIn(ca, "--ca");
  if (anchors !== null && "problem" in anchors) return anchors.problem;
  if (key !== undefined && cert === undefined) return "--key needs --cert";
  const privateKey = key === undefined ? null : keyIn(key);
  if (privateKey !== null && "problem" in privateKey) return privateKey.problem;
  const leaf = chain?.certificates[0];
  const mismatch = leaf !== undefined && privateKey !== null && !leaf.checkPrivateKey(privateKey.object);
  const facts = (chain?.certificates ?? []).map(certificateFacts);
  const spiffeId = spiffeIdOf(facts[0]?.uris ?? []);
  return {
    chain: chain?.texts.join("") ?? null,
    key: privateKey?.text ?? null,
    anchors: anchors?.texts ?? null,
    mismatch,
    credential:
      chain === null || privateKey === null || mismatch
        ? null
        : {
            name: GIVEN_CREDENTIAL,
            generation: 1,
            certificateChain: chain.texts.join(""),
            privateKey: privateKey.text,
            facts,
            notAfter: Math.min(...facts.map(({ notAfter }) => notAfter)),
            ...(spiffeId === undefined ? {} : { spiffeId }),
          },
    trust:
      anchors === null
        ? null
        : {
            name: GIVEN_TRUST,
            generation: 1,
            anchors: anchors.texts,
            facts: anchors.certificates.map(certificateFacts),
          },
  };
}

interface Problem {
  readonly problem: string;
}

function certificatesIn(
  file: string,
  flag: string,
): { readonly certificates: readonly X509Certificate[]; readonly texts: readonly string[] } | Problem {
  const text = textOf(file, flag);
  if (typeof text !== "string") return text;
  const read = parsePem(text);
  if (!read.ok) return { problem: `${flag} ${file} is no PEM: ${read.reason}` };
  try {
    const texts = read.blocks.filter(({ label }) => label === "CERTIFICATE").map((block) => block.text);
    if (texts.length === 0) return { problem: `${flag} ${file} has no certificate in it` };
    return { texts, certificates: texts.map((each) => new X509Certificate(each)) };
  } catch {
    return { problem: `${flag} ${file} has a certificate that cannot be read` };
  }
}

function keyIn(file: string): { readonly object: KeyObject; readonly text: string } | Problem {
  const text = textOf(file, "--key");
  if (typeof text !== "string") return text;
  try {
    const object = createPrivateKey(text);
    return { object, text: object.export({ type: "pkcs8", format: "pem" }) as string };
  } catch {
    // OpenSSL's words could quote what it read.
    return { problem: `--key ${file} has no private key that can be read without a password` };
  }
}

function textOf(file: string, flag: string): string | Problem {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    return { problem: `${flag} ${file}: ${(error as NodeJS.ErrnoException).code ?? "cannot be read"}` };
  }
}
