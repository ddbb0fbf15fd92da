import {
  booleanOf,
  context,
  DerReader,
  integerHex,
  MalformedDer,
  namedBitsOf,
  oidOf,
  readAll,
  readOne,
  smallIntegerOf,
  TAG,
} from "./der-reader.ts";
import { type GeneralName, readGeneralName, readGeneralNames } from "./general-name.ts";

/** What the extensions of a certificate say (RFC 5280 §4.2.1). An absent extension is null. */
export interface Extensions {
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength: number | null } | null;
  /** Bits of `KEY_USAGE`. */
  readonly keyUsage: number | null;
  readonly extendedKeyUsage: readonly string[] | null;
  readonly alternativeNames: readonly GeneralName[];
  readonly nameConstraints: NameConstraints | null;
  readonly subjectKey: string | null;
  readonly authorityKey: AuthorityKey | null;
  /** The bits of Netscape's certificate type, which OpenSSL and BoringSSL still heed. */
  readonly netscapeType: number | null;
  /** URIs at which it is said whether the certificate is revoked, as far as its CA says so itself and for any reason. */
  readonly distributionPoints: readonly string[];
  /** It asks its server to send an OCSP staple (RFC 7633: the TLS feature status_request). */
  readonly mustStaple: boolean;
  readonly unknownCritical: readonly string[];
}

export interface NameConstraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

export interface Subtree {
  readonly base: GeneralName;
  /** It has a minimum or maximum, for which RFC 5280 §4.2.1.10 has no use. */
  readonly isBounded: boolean;
}

export interface AuthorityKey {
  readonly keyId: string | null;
  /** Of the issuer's own certificate. */
  readonly issuer: readonly GeneralName[];
  readonly serial: string | null;
}

export const KEY_USAGE = {
  digitalSignature: 1 << 0,
  contentCommitment: 1 << 1,
  keyEncipherment: 1 << 2,
  dataEncipherment: 1 << 3,
  keyAgreement: 1 << 4,
  keyCertSign: 1 << 5,
  cRLSign: 1 << 6,
  encipherOnly: 1 << 7,
  decipherOnly: 1 << 8,
} as const;
export const NETSCAPE_TYPE = { client: 1 << 0, server: 1 << 1 } as const;

/** Reads `Extensions` (the content of its explicit tag), or none. Throws MalformedDer. */
export function readExtensions(content: Buffer | null): Extensions {
  const draft: Draft = {
    basicConstraints: null,
    keyUsage: null,
    extendedKeyUsage: null,
    alternativeNames: [],
    nameConstraints: null,
    subjectKey: null,
    authorityKey: null,
    netscapeType: null,
    distributionPoints: [],
    mustStaple: false,
    unknownCritical: [],
  };
  for (const { oid, critical, value } of content === null ? [] : extensionsOf(content)) {
    if (oid === TLS_FEATURE) draft.mustStaple = asksForStaple(value);
    const read = READERS[oid];
    if (read !== undefined) read(value, draft);
    else if (critical && !UNDERSTOOD.has(oid)) draft.unknownCritical.push(oid);
  }
  return draft;
}

/** RFC 7633 §4: features by the number of their TLS extension. What is no list of them asks for nothing. */
function asksForStaple(value: Buffer): boolean {
  try {
    return readAll(readOne(value, TAG.sequence).content, TAG.integer).some(
      (feature) => smallIntegerOf(feature) === STATUS_REQUEST,
    );
  } catch {
    return false;
  }
}

const TLS_FEATURE = "1.3.6.1.5.5.7.1.24";
const STATUS_REQUEST = 5;

export interface RawExtension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** None is there twice (RFC 5280 §4.2). Throws MalformedDer. */
export function extensionsOf(content: Buffer): RawExtension[] {
  const seen = new Set<string>();
  const found = readAll(readOne(content, TAG.sequence).content, TAG.sequence).map(({ content: inside }) => {
    const reader = new DerReader(inside);
    const oid = oidOf(reader.read(TAG.oid));
    const critical = reader.optional(TAG.boolean);
    const { content: value } = reader.read(TAG.octetString);
    reader.end();
    if (seen.has(oid)) throw new MalformedDer(`the extension ${oid} twice`);
    seen.add(oid);
    return { oid, critical: critical !== undefined && booleanOf(critical), value };
  });
  if (found.length === 0) throw new MalformedDer("extensions without an extension");
  return found;
}

/** Throws MalformedDer. */
export function readAuthorityKey(value: Buffer): AuthorityKey {
  const reader = new DerReader(readOne(value, TAG.sequence).content);
  const keyId = reader.optional(context(0, "primitive"));
  const issuer = reader.optional(context(1, "constructed"));
  const serial = reader.optional(context(2, "primitive"));
  reader.end();
  return {
    keyId: keyId?.content.toString("hex") ?? null,
    issuer: issuer === undefined ? [] : readGeneralNames(issuer.content),
    serial: serial === undefined ? null : integerHex(serial),
  };
}

/** The URIs of a DistributionPointName; null for one that is relative to its issuer. Throws MalformedDer. */
export function readDistributionPointName(content: Buffer): string[] | null {
  const { tag, content: names } = readOne(content);
  if (tag !== context(0, "constructed")) return null;
  return readGeneralNames(names).flatMap((name) => (name.kind === "uri" ? [name.text] : []));
}

type Draft = { -readonly [K in keyof Extensions]: Extensions[K] } & { unknownCritical: string[] };

const READERS: Readonly<Record<string, (value: Buffer, draft: Draft) => void>> = {
  "2.5.29.19": (value, draft) => {
    const reader = new DerReader(readOne(value, TAG.sequence).content);
    const ca = reader.optional(TAG.boolean);
    const pathLength = reader.optional(TAG.integer);
    reader.end();
    draft.basicConstraints = {
      ca: ca !== undefined && booleanOf(ca),
      pathLength: pathLength === undefined ? null : smallIntegerOf(pathLength),
    };
  },
  "2.5.29.15": (value, draft) => {
    draft.keyUsage = namedBitsOf(readOne(value, TAG.bitString));
  },
  "2.5.29.37": (value, draft) => {
    const purposes = readAll(readOne(value, TAG.sequence).content, TAG.oid).map(oidOf);
    if (purposes.length === 0) throw new MalformedDer("an extended key usage without one");
    draft.extendedKeyUsage = purposes;
  },
  "2.5.29.17": (value, draft) => {
    draft.alternativeNames = readGeneralNames(readOne(value, TAG.sequence).content);
  },
  "2.5.29.30": (value, draft) => {
    const reader = new DerReader(readOne(value, TAG.sequence).content);
    const permitted = reader.optional(context(0, "constructed"));
    const excluded = reader.optional(context(1, "constructed"));
    reader.end();
    if (permitted === undefined && excluded === undefined) throw new MalformedDer("empty name constraints");
    draft.nameConstraints = {
      permitted: permitted === undefined ? [] : readSubtrees(permitted.content),
      excluded: excluded === undefined ? [] : readSubtrees(excluded.content),
    };
  },
  "2.5.29.14": (value, draft) => {
    draft.subjectKey = readOne(value, TAG.octetString).content.toString("hex");
  },
  "2.5.29.35": (value, draft) => {
    draft.authorityKey = readAuthorityKey(value);
  },
  "2.5.29.31": (value, draft) => {
    draft.distributionPoints = readAll(readOne(value, TAG.sequence).content, TAG.sequence).flatMap(
      (point) => {
        const reader = new DerReader(point.content);
        const name = reader.optional(context(0, "constructed"));
        // Reasons, or another issuer: no list that is read here is for it (RFC 5280 §4.2.1.13).
        return name === undefined || !reader.isAtEnd ? [] : (readDistributionPointName(name.content) ?? []);
      },
    );
  },
  "2.16.840.1.113730.1.1": (value, draft) => {
    draft.netscapeType = namedBitsOf(readOne(value, TAG.bitString));
  },
};

/**
 * Critical ones that ask nothing of us. Certificate policies (RFC 5280 §4.2.1.4): any will do, since nobody can ask for
 * one. What would ask for more (policyConstraints, inhibitAnyPolicy, policyMappings) is refused where it is critical.
 */
const UNDERSTOOD: ReadonlySet<string> = new Set(["2.5.29.32"]);

function readSubtrees(content: Buffer): Subtree[] {
  // One that is empty could mean "none of these" to who wrote it, and "no constraint" to who reads it.
  if (content.length === 0) throw new MalformedDer("name constraints without a subtree");
  return readAll(content, TAG.sequence).map((subtree) => {
    const reader = new DerReader(subtree.content);
    const base = readGeneralName(reader.read());
    const minimum = reader.optional(context(0, "primitive"));
    const maximum = reader.optional(context(1, "primitive"));
    reader.end();
    const isBounded = maximum !== undefined || (minimum !== undefined && integerHex(minimum) !== "00");
    return { base, isBounded };
  });
}
