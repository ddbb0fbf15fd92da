import { createHash, type X509Certificate } from "node:crypto";
import {
  context,
  DerReader,
  type DerValue,
  integerHex,
  MalformedDer,
  oidOf,
  readAll,
  readOne,
  TAG,
  timeOf,
} from "./der-reader.ts";
import type { Signed } from "./algorithms.ts";
import { readName } from "./distinguished-name.ts";
import { readAlgorithm } from "./parsed-certificate.ts";

/** What a CA says of one certificate (RFC 6960 §4.2.1). */
export interface OcspAnswer {
  readonly serial: string;
  readonly issuerNameHash: { readonly algorithm: string; readonly digest: Buffer };
  /** By the same algorithm. */
  readonly issuerKeyHash: Buffer;
  readonly status: "good" | "revoked" | "unknown";
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number;
  /** Null: newer answers are to be had at any time. */
  readonly nextUpdate: number | null;
}

/** A response with an answer or more (RFC 6960 §4.2.1). */
export interface OcspResponse {
  readonly answers: readonly OcspAnswer[];
  readonly signed: Signed;
  /** The responder, by its name or the SHA-1 of its key. */
  readonly responder: { readonly name: string } | { readonly keyHash: Buffer };
  /** DER, sent along to verify it with. */
  readonly certificates: readonly Buffer[];
}

/** Reads a response in DER; the reason, a clause after "it", where it says nothing. `faultOfStaple` looks at its signature. Never throws. */
export function readOcspResponse(encoding: Buffer): OcspResponse | string {
  try {
    return read(encoding);
  } catch (error) {
    return error instanceof MalformedDer ? `is no OCSP response: ${error.message}` : "is no OCSP response";
  }
}

/** Whether the answer is about this certificate: by its serial and the name of its issuer. */
export function isAnswerAbout({ serial, issuerNameHash }: OcspAnswer, certificate: X509Certificate): boolean {
  try {
    const outer = new DerReader(readOne(certificate.raw, TAG.sequence).content);
    const inner = outer.enter(TAG.sequence);
    inner.optional(context(0, "constructed"));
    if (integerHex(inner.read(TAG.integer)) !== serial) return false;
    inner.read(TAG.sequence);
    const issuer = inner.read(TAG.sequence).encoding;
    return createHash(issuerNameHash.algorithm).update(issuer).digest().equals(issuerNameHash.digest);
  } catch {
    return false;
  }
}

function read(encoding: Buffer): OcspResponse | string {
  const outer = new DerReader(readOne(encoding, TAG.sequence).content);
  const status = outer.read(TAG.enumerated).content[0] ?? 0;
  if (status !== 0) return `says that the responder failed (${FAILURES[status] ?? `status ${status}`})`;
  const bytes = new DerReader(readOne(outer.read(context(0, "constructed")).content, TAG.sequence).content);
  outer.end();
  const type = oidOf(bytes.read(TAG.oid));
  if (type !== BASIC) return `is of a kind that is not known (${type})`;
  const basic = new DerReader(readOne(bytes.read(TAG.octetString).content, TAG.sequence).content);
  const body = basic.read(TAG.sequence);
  const algorithm = readAlgorithm(basic);
  const signature = basic.read(TAG.bitString).content.subarray(1);
  const sent = basic.optional(context(0, "constructed"));
  const data = new DerReader(body.content);
  data.optional(context(0, "constructed"));
  const responder = readResponder(data.read());
  // When it answered.
  data.read(TAG.generalizedTime);
  const answers = data.enter(TAG.sequence);
  const found: OcspAnswer[] = [];
  while (!answers.isAtEnd) found.push(readAnswer(answers.enter(TAG.sequence)));
  if (found.length === 0) return "is about no certificate";
  return {
    answers: found,
    signed: { body: body.encoding, algorithm, signature },
    responder,
    certificates:
      sent === undefined
        ? []
        : readAll(readOne(sent.content, TAG.sequence).content, TAG.sequence).map(({ encoding }) => encoding),
  };
}

function readResponder({ tag, content }: DerValue): OcspResponse["responder"] {
  if (tag === context(1, "constructed")) return { name: readName(readOne(content, TAG.sequence)).key };
  if (tag === context(2, "constructed")) return { keyHash: readOne(content, TAG.octetString).content };
  throw new MalformedDer("a responder without a name or a key");
}

function readAnswer(answer: DerReader): OcspAnswer {
  const id = answer.enter(TAG.sequence);
  const { oid } = readAlgorithm(id);
  const algorithm = HASHES[oid];
  if (algorithm === undefined) throw new MalformedDer(`a hash that is not known (${oid})`);
  const digest = id.read(TAG.octetString).content;
  const issuerKeyHash = id.read(TAG.octetString).content;
  const serial = integerHex(id.read(TAG.integer));
  const status = statusOf(answer.read());
  const thisUpdate = timeOf(answer.read(TAG.generalizedTime));
  const next = answer.optional(context(0, "constructed"));
  return {
    serial,
    issuerNameHash: { algorithm, digest },
    issuerKeyHash,
    status,
    thisUpdate,
    nextUpdate: next === undefined ? null : timeOf(readOne(next.content, TAG.generalizedTime)),
  };
}

function statusOf({ tag }: DerValue): OcspAnswer["status"] {
  if (tag === context(0, "primitive")) return "good";
  return tag === context(1, "constructed") ? "revoked" : "unknown";
}

/** id-pkix-ocsp-basic. */
const BASIC = "1.3.6.1.5.5.7.48.1.1";
const FAILURES: Readonly<Record<number, string>> = {
  1: "malformedRequest",
  2: "internalError",
  3: "tryLater",
  5: "sigRequired",
  6: "unauthorized",
};
/** A name is hashed to tell it, so SHA-1 does, which is what responders use. */
const HASHES: Readonly<Record<string, string>> = {
  "1.3.14.3.2.26": "sha1",
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};
