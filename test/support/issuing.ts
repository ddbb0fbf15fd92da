import {
  createHash,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import {
  bits,
  type Der,
  der,
  implicit,
  integer,
  nothing,
  octets,
  oid,
  pem,
  sequence,
  set,
  tagged,
  time,
  utf8,
  yes,
} from "./der.ts";

/** A certificate and its key, made as a test says: sound unless told otherwise. */
export interface Issued {
  readonly certificate: X509Certificate;
  readonly pem: string;
  readonly subject: Der;
  readonly keys: KeyPair;
  readonly serial: bigint;
  readonly issuer: Issued | null;
}

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export interface Issuing {
  /** Null: self-signed. */
  readonly by?: Issued | null;
  /** Text for a CN alone, or the whole name. */
  readonly subject?: string | Der;
  /** Of the issuer, where it is to be another than `by` has. */
  readonly issuerName?: Der;
  readonly keys?: KeyPair;
  readonly serial?: bigint;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** Names of `USAGES`; null leaves the extension out. */
  readonly keyUsage?: readonly (keyof typeof USAGES)[] | null;
  /** Object identifiers; null leaves the extension out. */
  readonly extendedKeyUsage?: readonly string[] | null;
  readonly names?: readonly Der[];
  /** Whether it names its issuer by key identifier (the default), also by serial, or not at all. */
  readonly authorityKey?: "key" | "key-and-serial" | "none";
  readonly extensions?: readonly Der[];
  /** The signature's hash. */
  readonly hash?: "md5" | "sha1" | "sha256" | "sha384";
  readonly version?: number;
}

export const NAMES = {
  dns: (name: string): Der => implicit(2, Buffer.from(name)),
  email: (address: string): Der => implicit(1, Buffer.from(address)),
  uri: (uri: string): Der => implicit(6, Buffer.from(uri)),
  ip: (...octetsOfIt: number[]): Der => implicit(7, Buffer.from(octetsOfIt)),
  directory: (name: Der): Der => tagged(4, name),
} as const;

export const PURPOSES = {
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
  any: "2.5.29.37.0",
} as const;

export function ecKeys(namedCurve = "P-256"): KeyPair {
  return generateKeyPairSync("ec", { namedCurve });
}

export function rsaKeys(modulusLength = 2048): KeyPair {
  return generateKeyPairSync("rsa", { modulusLength });
}

export function edKeys(): KeyPair {
  return generateKeyPairSync("ed25519");
}

/** `[["O", "Acme"], ["CN", "Acme Root"]]`. */
export function nameOf(parts: readonly (readonly [keyof typeof ATTRIBUTES, string])[]): Der {
  return sequence(...parts.map(([type, value]) => set(sequence(oid(ATTRIBUTES[type]), textOf(type, value)))));
}

/** RFC 5280 §4.1.2.6: e-mail addresses are IA5Strings. */
function textOf(type: keyof typeof ATTRIBUTES, value: string): Der {
  return type === "emailAddress" ? der(0x16, Buffer.from(value)) : utf8(value);
}

export function extension(id: string, value: Der, critical = false): Der {
  return sequence(oid(id), ...(critical ? [yes] : []), octets(value));
}

export function nameConstraints(permitted: readonly Der[], excluded: readonly Der[] = []): Der {
  const trees = (n: number, bases: readonly Der[]): Der[] =>
    bases.length === 0 ? [] : [tagged(n, ...bases.map((base) => sequence(base)))];
  return extension("2.5.29.30", sequence(...trees(0, permitted), ...trees(1, excluded)), true);
}

export function issue(options: Issuing): Issued {
  const by = options.by ?? null;
  const keys = options.keys ?? ecKeys();
  const serial = options.serial ?? randomBytes(15).reduce((all, byte) => all * 256n + BigInt(byte), 1n);
  const subject =
    typeof options.subject === "object" ? options.subject : nameOf([["CN", options.subject ?? "leaf"]]);
  const signer = by?.keys ?? keys;
  const algorithm = algorithmOf(signer, options.hash ?? "sha256");
  const body = sequence(
    tagged(0, integer(options.version ?? 2)),
    integer(serial),
    algorithm.identifier,
    options.issuerName ?? by?.subject ?? subject,
    sequence(
      time(options.notBefore ?? new Date(Date.now() - 3_600_000)),
      time(options.notAfter ?? new Date(Date.now() + 30 * 86_400_000)),
    ),
    subject,
    keys.publicKey.export({ type: "spki", format: "der" }),
    ...((options.version ?? 2) === 2 ? [tagged(3, sequence(...extensionsOf(options, by, keys)))] : []),
  );
  const encoding = sequence(body, algorithm.identifier, bits(sign(algorithm.hash, body, signer.privateKey)));
  const certificate = new X509Certificate(encoding);
  return { certificate, pem: pem("CERTIFICATE", encoding), subject, keys, serial, issuer: by };
}

export function issueCa(options: Issuing & { readonly subject: string | Der }): Issued {
  return issue({
    ca: true,
    keyUsage: ["keyCertSign", "cRLSign"],
    extendedKeyUsage: null,
    names: [],
    ...options,
  });
}

export interface ListIssuing {
  readonly by: Issued;
  readonly revoked?: readonly Issued[];
  readonly thisUpdate?: Date;
  /** Null leaves it out. */
  readonly nextUpdate?: Date | null;
  readonly number?: number;
  readonly extensions?: readonly Der[];
  /** Of every entry. */
  readonly entryExtensions?: readonly Der[];
  readonly hash?: Issuing["hash"];
  /** Version 1 has no extensions. */
  readonly version?: 1 | 2;
}

/** A certificate revocation list in PEM. */
export function issueList(options: ListIssuing): string {
  const { by, revoked = [], version = 2, entryExtensions = [] } = options;
  const algorithm = algorithmOf(by.keys, options.hash ?? "sha256");
  const nextUpdate =
    options.nextUpdate === undefined ? new Date(Date.now() + 7 * 86_400_000) : options.nextUpdate;
  const entry = ({ serial }: Issued): Der =>
    sequence(
      integer(serial),
      time(new Date(Date.now() - 7_200_000)),
      ...(entryExtensions.length === 0 ? [] : [sequence(...entryExtensions)]),
    );
  const extensions = [
    extension("2.5.29.35", sequence(implicit(0, keyIdOf(by.keys)))),
    extension("2.5.29.20", integer(options.number ?? 1)),
    ...(options.extensions ?? []),
  ];
  const body = sequence(
    ...(version === 2 ? [integer(1)] : []),
    algorithm.identifier,
    by.subject,
    time(options.thisUpdate ?? new Date(Date.now() - 3_600_000)),
    ...(nextUpdate === null ? [] : [time(nextUpdate)]),
    ...(revoked.length === 0 ? [] : [sequence(Buffer.concat(revoked.map(entry)))]),
    ...(version === 2 ? [tagged(0, sequence(...extensions))] : []),
  );
  const signature = sign(algorithm.hash, body, by.keys.privateKey);
  return pem("X509 CRL", sequence(body, algorithm.identifier, bits(signature)));
}

export function keyIdOf({ publicKey }: KeyPair): Buffer {
  return createHash("sha1")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest();
}

/** The hash is null for keys that have their own. */
export function algorithmOf(
  { privateKey }: KeyPair,
  hash: NonNullable<Issuing["hash"]>,
): { readonly hash: string | null; readonly identifier: Der } {
  const type = privateKey.asymmetricKeyType ?? "";
  if (type === "ed25519") return { hash: null, identifier: sequence(oid("1.3.101.112")) };
  const identifiers: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    rsa: {
      md5: "1.2.840.113549.1.1.4",
      sha1: "1.2.840.113549.1.1.5",
      sha256: "1.2.840.113549.1.1.11",
      sha384: "1.2.840.113549.1.1.12",
    },
    ec: { sha1: "1.2.840.10045.4.1", sha256: "1.2.840.10045.4.3.2", sha384: "1.2.840.10045.4.3.3" },
  };
  const found = oid(identifiers[type]?.[hash] as string);
  return { hash, identifier: type === "rsa" ? sequence(found, nothing) : sequence(found) };
}

const USAGES = {
  digitalSignature: 0x8000,
  keyEncipherment: 0x2000,
  keyCertSign: 0x0400,
  cRLSign: 0x0200,
} as const;
const ATTRIBUTES = {
  CN: "2.5.4.3",
  O: "2.5.4.10",
  OU: "2.5.4.11",
  emailAddress: "1.2.840.113549.1.9.1",
} as const;

function extensionsOf(options: Issuing, by: Issued | null, keys: KeyPair): Der[] {
  const {
    ca = false,
    pathLength,
    keyUsage = ["digitalSignature"],
    names = [NAMES.dns("peer.example")],
  } = options;
  const purposes =
    options.extendedKeyUsage === undefined ? [PURPOSES.server, PURPOSES.client] : options.extendedKeyUsage;
  const usage = keyUsage?.reduce((all, name) => all | USAGES[name], 0) ?? 0;
  const constraints = [...(ca ? [yes] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])];
  return [
    extension("2.5.29.19", sequence(...constraints), true),
    ...(keyUsage === null
      ? []
      : [extension("2.5.29.15", bits(Buffer.from([usage >> 8, usage & 0xff])), true)]),
    ...(purposes === null ? [] : [extension("2.5.29.37", sequence(...purposes.map(oid)))]),
    ...(names.length === 0 ? [] : [extension("2.5.29.17", sequence(...names))]),
    extension("2.5.29.14", octets(keyIdOf(keys))),
    ...authorityKeyOf(options.authorityKey ?? "key", by),
    ...(options.extensions ?? []),
  ];
}

function authorityKeyOf(kind: NonNullable<Issuing["authorityKey"]>, by: Issued | null): Der[] {
  if (by === null || kind === "none") return [];
  const parts = [implicit(0, keyIdOf(by.keys))];
  if (kind === "key-and-serial") {
    parts.push(tagged(1, NAMES.directory((by.issuer ?? by).subject)));
    parts.push(der(0x82, integer(by.serial).subarray(2)));
  }
  return [extension("2.5.29.35", sequence(...parts))];
}
