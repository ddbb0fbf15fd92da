import type { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { isNamedIssuer } from "../x509/issuer.ts";
import {
  type AlgorithmIdentifier,
  keyOf,
  type ParsedCertificate,
  parsed,
} from "../x509/parsed-certificate.ts";

/**
 * Loads a chain, leaf first, and the key of its leaf as an engine will: OpenSSL has rules of its own about both. Its code where it refuses;
 * null: it takes them. The key is known to be the leaf's. What it decides by are algorithms and sizes, so where it took a chain of the
 * same ones it takes this one, and is not asked again: asking costs more than all other checks.
 */
export function refusedByOpenSsl(
  chain: readonly X509Certificate[],
  certificateChain: string,
  privateKey: string,
): string | null {
  const shape = shapeOf(chain);
  if (shape !== null && TAKEN.has(shape)) return null;
  try {
    createSecureContext({ cert: certificateChain, key: privateKey });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "unknown error";
  }
  if (shape !== null) {
    if (TAKEN.size >= MOST_SHAPES) TAKEN.clear();
    TAKEN.add(shape);
  }
  return null;
}

const TAKEN = new Set<string>();
const MOST_SHAPES = 1000;

/** Null where one of them cannot be taken apart. */
function shapeOf(chain: readonly X509Certificate[]): string | null {
  const shapes: unknown[] = [];
  for (const certificate of chain) {
    const read = parsed(certificate);
    if (typeof read === "string") return null;
    const { publicKey, signature } = read;
    shapes.push(
      algorithmOf(publicKey),
      sizeOf(read),
      algorithmOf(signature),
      // The signature of what signed itself is of no account to OpenSSL.
      isNamedIssuer(read, read),
    );
  }
  return JSON.stringify(shapes);
}

function algorithmOf({ oid, parameters }: AlgorithmIdentifier): readonly unknown[] {
  return [oid, parameters?.toString("hex") ?? null];
}

/** What the parameters of the algorithm do not say. */
function sizeOf(certificate: ParsedCertificate): readonly unknown[] {
  const { oid, key } = certificate.publicKey;
  if (!RSA.has(oid)) return [key.length, key[0]];
  const { modulusLength, publicExponent } = keyOf(certificate)?.asymmetricKeyDetails ?? {};
  return [modulusLength, String(publicExponent)];
}

const RSA: ReadonlySet<string> = new Set(["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10"]);
