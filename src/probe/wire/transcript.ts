import { TruncatedMessage } from "./bytes.ts";
import {
  type CertificateRequest,
  type ClientHello,
  type HandshakeMessage,
  readMessage,
  type ServerHello,
} from "./messages.ts";
import { RecordKeys, type Secrets } from "./record-keys.ts";

/** Everything that went over one connection until somebody ended it. */
export interface Recording {
  readonly sent: Buffer;
  readonly received: Buffer;
  readonly secrets: Secrets;
}

/** A handshake as it went over the wire: what OpenSSL keeps to itself is read from the bytes. */
export interface Transcript {
  readonly clientHello: ClientHello | null;
  /** The group that the server wanted a share for; null: it asked for no other. */
  readonly retriedGroup: number | null;
  readonly serverHello: ServerHello | null;
  readonly group: number | null;
  readonly alpn: string | null;
  /** Null: the server asked for no client certificate, or did not come to it. */
  readonly request: CertificateRequest | null;
  /** DER, leaf first; null: none was sent. */
  readonly serverChain: readonly Buffer[] | null;
  readonly serverSignature: number | null;
  readonly stapled: boolean;
  /** Empty: it said that it has none; null: it said nothing. */
  readonly clientChain: readonly Buffer[] | null;
  readonly clientSignature: number | null;
  readonly serverFinished: boolean;
  readonly clientFinished: boolean;
  /** Sessions to resume: a server that gives one has taken the client's certificate. */
  readonly tickets: number;
  readonly alerts: readonly Alert[];
  /** The first bytes that came, where they are not TLS. */
  readonly notTls: Buffer | null;
  /** Records came that this reader has no keys for: up to TLS 1.2 what follows ChangeCipherSpec. */
  readonly sealed: boolean;
}

export interface Alert {
  readonly by: "client" | "server";
  readonly code: number;
}

/** Reads a recording to where it makes sense. Never throws. */
export function readTranscript({ sent, received, secrets }: Recording): Transcript {
  const server = readFlow(received, "SERVER", secrets, null);
  const hello = server.messages.find((message) => message.kind === "server-hello");
  const client = readFlow(sent, "CLIENT", secrets, hello ?? null);
  const of = <Kind extends HandshakeMessage["kind"]>(flow: Flow, kind: Kind): Message<Kind> | null =>
    (flow.messages.find((message) => message.kind === kind) as Message<Kind> | undefined) ?? null;
  const exchange = of(server, "server-key-exchange");
  return {
    clientHello: of(client, "client-hello"),
    retriedGroup: of(server, "hello-retry-request")?.group ?? null,
    serverHello: hello ?? null,
    group: hello?.group ?? exchange?.group ?? null,
    alpn: of(server, "encrypted-extensions")?.alpn ?? hello?.alpn ?? null,
    request: of(server, "certificate-request"),
    serverChain: of(server, "certificate")?.chain ?? null,
    serverSignature: of(server, "certificate-verify")?.signature ?? exchange?.signature ?? null,
    stapled: of(server, "certificate-status") !== null || of(server, "certificate")?.stapled === true,
    clientChain: of(client, "certificate")?.chain ?? null,
    clientSignature: of(client, "certificate-verify")?.signature ?? null,
    serverFinished: of(server, "finished") !== null || server.sealed,
    clientFinished: of(client, "finished") !== null || client.sealed,
    tickets: server.messages.filter(({ kind }) => kind === "new-session-ticket").length,
    alerts: [
      ...server.alerts.map((code) => ({ by: "server" as const, code })),
      ...client.alerts.map((code) => ({ by: "client" as const, code })),
    ],
    notTls: server.notTls,
    sealed: server.sealed,
  };
}

type Message<Kind> = Extract<HandshakeMessage, { kind: Kind }>;

interface Flow {
  readonly messages: HandshakeMessage[];
  readonly alerts: number[];
  notTls: Buffer | null;
  sealed: boolean;
}

const TYPE = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;
const TLS13 = 0x0304;
/** What a reader of the report is shown of it at most. */
const NOT_TLS_BYTES = 256;

/** `hello`: of the server, for the client's side, which was protected by what that one chose. */
function readFlow(
  bytes: Buffer,
  side: "CLIENT" | "SERVER",
  secrets: Secrets,
  hello: ServerHello | null,
): Flow {
  const flow: Flow = { messages: [], alerts: [], notTls: null, sealed: false };
  let chosen = hello;
  let keys: RecordKeys | null = null;
  let phase: "HANDSHAKE_TRAFFIC_SECRET" | "TRAFFIC_SECRET_0" = "HANDSHAKE_TRAFFIC_SECRET";
  let pending = Buffer.alloc(0);
  const onHandshake = (content: Buffer): void => {
    pending = Buffer.concat([pending, content]);
    while (pending.length >= 4) {
      const length = pending.readUIntBE(1, 3);
      if (pending.length < 4 + length) return;
      const type = pending[0] as number;
      const message = understood(type, pending.subarray(4, 4 + length), chosen?.version === TLS13);
      pending = pending.subarray(4 + length);
      if (message === null) continue;
      flow.messages.push(message);
      if (message.kind === "server-hello") chosen = message;
      // RFC 8446 §7.3: each side goes on with its next secret.
      if (message.kind === "finished") {
        phase = "TRAFFIC_SECRET_0";
        keys = null;
      }
    }
  };
  for (let at = 0; at + 5 <= bytes.length; ) {
    const header = bytes.subarray(at, at + 5);
    const type = header[0] as number;
    const length = header.readUInt16BE(3);
    if (type < TYPE.changeCipherSpec || type > TYPE.applicationData || header[1] !== 3) break;
    if (at + 5 + length > bytes.length) break;
    const body = bytes.subarray(at + 5, at + 5 + length);
    at += 5 + length;
    if (type === TYPE.applicationData && chosen?.version === TLS13) {
      const secret = secrets.get(`${side}_${phase}`);
      keys ??= secret === undefined ? null : RecordKeys.of(chosen?.suite ?? 0, secret);
      const opened = keys?.open(header, body) ?? null;
      if (opened === null) break;
      if (opened.type === TYPE.handshake) onHandshake(opened.content);
      else if (opened.type === TYPE.alert) flow.alerts.push(opened.content[1] ?? 0);
    } else if (type === TYPE.changeCipherSpec) {
      // In TLS 1.3 it is for show (RFC 8446 §D.4), and may come before the server has chosen.
      if (chosen === null || chosen.version === TLS13) continue;
      flow.sealed = true;
      break;
    } else if (type === TYPE.handshake) onHandshake(body);
    else if (type === TYPE.alert) flow.alerts.push(body[1] ?? 0);
  }
  if (side === "SERVER" && bytes.length > 0 && !looksLikeTls(bytes))
    flow.notTls = bytes.subarray(0, NOT_TLS_BYTES);
  return flow;
}

function looksLikeTls(bytes: Buffer): boolean {
  const [type = 0, major] = bytes;
  return (
    type >= TYPE.changeCipherSpec && type <= TYPE.applicationData && (major === undefined || major === 3)
  );
}

/** Null: it cannot be read, which is left to OpenSSL to object to. */
function understood(type: number, body: Buffer, isTls13: boolean): HandshakeMessage | null {
  try {
    return readMessage(type, body, isTls13);
  } catch (error) {
    if (error instanceof TruncatedMessage) return null;
    throw error;
  }
}
