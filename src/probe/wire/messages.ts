import { Bytes } from "./bytes.ts";

/** What one message of a handshake says, as far as it is of use to somebody who looks for what went wrong. */
export type HandshakeMessage =
  | ClientHello
  | ServerHello
  /** RFC 8446 §4.1.4: the server takes another group than the client has sent a share for. */
  | { readonly kind: "hello-retry-request"; readonly group: number | null }
  | { readonly kind: "encrypted-extensions"; readonly alpn: string | null }
  | CertificateRequest
  /** DER, leaf first. */
  | { readonly kind: "certificate"; readonly chain: readonly Buffer[]; readonly stapled: boolean }
  /** Who signs with what: CertificateVerify, up to TLS 1.2 the server's ServerKeyExchange, which names the group too. */
  | { readonly kind: "certificate-verify"; readonly signature: number | null }
  | { readonly kind: "server-key-exchange"; readonly group: number | null; readonly signature: number | null }
  | { readonly kind: "certificate-status" }
  | { readonly kind: "new-session-ticket" }
  | { readonly kind: "finished" }
  | { readonly kind: "other"; readonly type: number };

export interface ClientHello {
  readonly kind: "client-hello";
  readonly versions: readonly number[];
  readonly suites: readonly number[];
  readonly groups: readonly number[];
  /** Groups of the key shares: the guess at what the server takes. */
  readonly shares: readonly number[];
  readonly signatures: readonly number[];
  readonly alpn: readonly string[];
  readonly serverName: string | null;
}

export interface ServerHello {
  readonly kind: "server-hello";
  readonly version: number;
  readonly suite: number;
  /** Null up to TLS 1.2. */
  readonly group: number | null;
  readonly alpn: string | null;
  /** Of TLS 1.3: a ticket was taken. */
  readonly resumed: boolean;
}

/** What the server wants of the client's certificate (RFC 8446 §4.3.2, RFC 5246 §7.4.4). */
export interface CertificateRequest {
  readonly kind: "certificate-request";
  /** Empty before TLS 1.2, which has no such list. */
  readonly signatures: readonly number[];
  /** DER of the names; empty: the server names none. */
  readonly authorities: readonly Buffer[];
}

/** Reads a message's body. Throws TruncatedMessage where it is cut or is none. */
export function readMessage(type: number, body: Buffer, isTls13: boolean): HandshakeMessage {
  switch (type) {
    case 1:
      return clientHello(new Bytes(body));
    case 2:
      return serverHello(new Bytes(body));
    case 4:
      return { kind: "new-session-ticket" };
    case 8:
      return { kind: "encrypted-extensions", alpn: alpnOf(extensions(new Bytes(body)))[0] ?? null };
    case 11:
      return certificate(new Bytes(body), isTls13);
    case 12:
      return serverKeyExchange(new Bytes(body));
    case 13:
      return certificateRequest(new Bytes(body), isTls13);
    case 15:
      // Before TLS 1.2 it is a signature alone, and its first octets are a length.
      return { kind: "certificate-verify", signature: body.length < 4 ? null : body.readUInt16BE(0) };
    case 20:
      return { kind: "finished" };
    case 22:
      return { kind: "certificate-status" };
    default:
      return { kind: "other", type };
  }
}

const EXTENSION = {
  serverName: 0,
  groups: 10,
  signatures: 13,
  alpn: 16,
  preSharedKey: 41,
  versions: 43,
  authorities: 47,
  keyShare: 51,
  statusRequest: 5,
} as const;

/** RFC 8446 §4.1.3: the SHA-256 of "HelloRetryRequest". */
const RETRY_RANDOM = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";

type Extensions = ReadonlyMap<number, Buffer>;

function extensions(bytes: Bytes): Extensions {
  const found = new Map<number, Buffer>();
  if (bytes.isAtEnd) return found;
  const all = new Bytes(bytes.vector(2));
  while (!all.isAtEnd) found.set(all.number(2), all.vector(2));
  return found;
}

function clientHello(bytes: Bytes): ClientHello {
  const legacyVersion = bytes.number(2);
  bytes.take(32);
  bytes.vector(1);
  const suites = new Bytes(bytes.vector(2)).codes();
  bytes.vector(1);
  const found = extensions(bytes);
  const versions = found.get(EXTENSION.versions);
  const serverName = found.get(EXTENSION.serverName);
  const shares = found.get(EXTENSION.keyShare);
  return {
    kind: "client-hello",
    versions: versions === undefined ? [legacyVersion] : new Bytes(new Bytes(versions).vector(1)).codes(),
    suites,
    groups: codesOf(found.get(EXTENSION.groups)),
    shares: shares === undefined ? [] : shareGroups(new Bytes(new Bytes(shares).vector(2))),
    signatures: codesOf(found.get(EXTENSION.signatures)),
    alpn: alpnOf(found),
    // A list of one, behind its type (RFC 6066 §3).
    serverName:
      serverName === undefined || serverName.length < 5 ? null : serverName.subarray(5).toString("latin1"),
  };
}

function shareGroups(bytes: Bytes): number[] {
  const groups: number[] = [];
  while (!bytes.isAtEnd) {
    groups.push(bytes.number(2));
    bytes.vector(2);
  }
  return groups;
}

function serverHello(bytes: Bytes): HandshakeMessage {
  const legacyVersion = bytes.number(2);
  const random = bytes.take(32).toString("hex");
  bytes.vector(1);
  const suite = bytes.number(2);
  bytes.take(1);
  const found = extensions(bytes);
  const share = found.get(EXTENSION.keyShare);
  const group = share === undefined || share.length < 2 ? null : share.readUInt16BE(0);
  if (random === RETRY_RANDOM) return { kind: "hello-retry-request", group };
  const version = found.get(EXTENSION.versions);
  return {
    kind: "server-hello",
    version: version === undefined || version.length < 2 ? legacyVersion : version.readUInt16BE(0),
    suite,
    group,
    alpn: alpnOf(found)[0] ?? null,
    resumed: found.has(EXTENSION.preSharedKey),
  };
}

function certificate(bytes: Bytes, isTls13: boolean): HandshakeMessage {
  if (!isTls13)
    return {
      kind: "certificate",
      chain: new Bytes(bytes.vector(3)).vectors(3),
      stapled: false,
    };
  bytes.vector(1);
  const entries = new Bytes(bytes.vector(3));
  const chain: Buffer[] = [];
  let stapled = false;
  while (!entries.isAtEnd) {
    chain.push(entries.vector(3));
    stapled ||= extensions(entries).has(EXTENSION.statusRequest);
  }
  return { kind: "certificate", chain, stapled };
}

/** RFC 8422 §5.4 for elliptic curves; of the others only that they are none. */
function serverKeyExchange(bytes: Bytes): HandshakeMessage {
  const isNamedCurve = bytes.number(1) === 3;
  if (!isNamedCurve) return { kind: "server-key-exchange", group: null, signature: null };
  const group = bytes.number(2);
  bytes.vector(1);
  return { kind: "server-key-exchange", group, signature: bytes.isAtEnd ? null : bytes.number(2) };
}

function certificateRequest(bytes: Bytes, isTls13: boolean): CertificateRequest {
  if (isTls13) {
    bytes.vector(1);
    const found = extensions(bytes);
    const authorities = found.get(EXTENSION.authorities);
    return {
      kind: "certificate-request",
      signatures: codesOf(found.get(EXTENSION.signatures)),
      authorities: authorities === undefined ? [] : new Bytes(new Bytes(authorities).vector(2)).vectors(2),
    };
  }
  bytes.vector(1);
  const first = bytes.vector(2);
  // Before TLS 1.2 the first list is the last one.
  const authorities = bytes.isAtEnd ? first : bytes.vector(2);
  return {
    kind: "certificate-request",
    signatures: authorities === first ? [] : new Bytes(first).codes(),
    authorities: new Bytes(authorities).vectors(2),
  };
}

function codesOf(extension: Buffer | undefined): number[] {
  return extension === undefined ? [] : new Bytes(new Bytes(extension).vector(2)).codes();
}

function alpnOf(found: Extensions): string[] {
  const extension = found.get(EXTENSION.alpn);
  if (extension === undefined) return [];
  return new Bytes(new Bytes(extension).vector(2)).vectors(1).map((name) => name.toString("latin1"));
}
