import { createHash, sign } from "node:crypto";
import { bits, type Der, der, implicit, integer, nothing, octets, oid, sequence, tagged } from "./der.ts";
import { algorithmOf, extension, type Issued } from "./issuing.ts";

export interface OcspIssuing {
  readonly about: readonly Issued[];
  readonly by: Issued;
  /** Who answers in its place. */
  readonly signer?: Issued;
  /** Certificates that are sent along. */
  readonly sent?: readonly Issued[];
  /** The responder is named by its key rather than by its name. */
  readonly isByKey?: boolean;
  /** Of whose key the certificates are said to be. */
  readonly keyOf?: Issued;
  readonly hash?: "sha1" | "sha256";
  readonly status?: "good" | "revoked" | "unknown";
  readonly thisUpdate?: Date;
  /** Null leaves it out. */
  readonly nextUpdate?: Date | null;
}

/** An OCSP response (RFC 6960 §4.2.1) that the CA signs itself, unless told otherwise; DER. */
export function issueOcsp(options: OcspIssuing): Buffer {
  const { about, by, signer = by, sent = [], status = "good" } = options;
  const thisUpdate = options.thisUpdate ?? new Date(Date.now() - 3_600_000);
  const nextUpdate =
    options.nextUpdate === undefined ? new Date(Date.now() + 86_400_000) : options.nextUpdate;
  const answer = ({ serial }: Issued): Der =>
    sequence(
      sequence(
        sequence(oid("1.3.14.3.2.26"), nothing),
        octets(createHash("sha1").update(by.subject).digest()),
        octets(
          createHash("sha1")
            .update(keyBits(options.keyOf ?? by))
            .digest(),
        ),
        integer(serial),
      ),
      statusOf(status, thisUpdate),
      generalizedTime(thisUpdate),
      ...(nextUpdate === null ? [] : [tagged(0, generalizedTime(nextUpdate))]),
    );
  const responder = options.isByKey
    ? tagged(2, octets(createHash("sha1").update(keyBits(signer)).digest()))
    : tagged(1, signer.subject);
  const data = sequence(responder, generalizedTime(thisUpdate), sequence(...about.map(answer)));
  const { hash, identifier } = algorithmOf(signer.keys, options.hash ?? "sha256");
  const certificates = sent.map(({ certificate }) => certificate.raw);
  const basic = sequence(
    data,
    identifier,
    bits(sign(hash, data, signer.keys.privateKey)),
    ...(sent.length === 0 ? [] : [tagged(0, sequence(...certificates))]),
  );
  return sequence(der(0x0a, Buffer.of(0)), tagged(0, sequence(oid("1.3.6.1.5.5.7.48.1.1"), octets(basic))));
}

/** id-kp-OCSPSigning, for `extendedKeyUsage`. */
export const OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";
/** The TLS feature status_request (RFC 7633). */
export const MUST_STAPLE: Der = extension("1.3.6.1.5.5.7.1.24", sequence(integer(5)));

/** What a responder says that cannot answer now. */
export const TRY_LATER: Buffer = sequence(der(0x0a, Buffer.of(3)));

function statusOf(status: NonNullable<OcspIssuing["status"]>, at: Date): Der {
  if (status === "good") return implicit(0, Buffer.alloc(0));
  return status === "revoked" ? tagged(1, generalizedTime(at)) : implicit(2, Buffer.alloc(0));
}

/** The BIT STRING of the SubjectPublicKeyInfo: a point on P-256, or PKCS#1. */
function keyBits({ keys: { publicKey } }: Issued): Buffer {
  return publicKey.asymmetricKeyType === "rsa"
    ? publicKey.export({ type: "pkcs1", format: "der" })
    : publicKey.export({ type: "spki", format: "der" }).subarray(-65);
}

function generalizedTime(date: Date): Der {
  return der(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, "")));
}
