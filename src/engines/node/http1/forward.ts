import type { HttpSettings } from "../../../model/http.ts";
import { FIELD, type FieldLines } from "./fields.ts";
import type { RequestHead } from "./request-head.ts";
import type { ResponseHead } from "./response-head.ts";

/** What the head that goes upstream takes from the connection and the route. */
export interface Forwarding {
  readonly settings: HttpSettings;
  readonly path: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  readonly requestId: string;
  readonly hostRewrite: string | undefined;
  /** X-Forwarded-Client-Cert as it goes on; null: not at all. */
  readonly clientCertificate: string | null;
}

/**
 * The head to send upstream: the client's lines as they are, in unbroken runs, less what is hop-by-hop (RFC 9110 §7.6.1)
 * or not the client's to say (design §9), plus X-Forwarded-For, X-Forwarded-Proto and X-Request-Id.
 */
export function upstreamHead(head: RequestHead, forwarding: Forwarding): string {
  const { fields } = head;
  const { settings } = forwarding;
  const text = fields.text;
  let out = "";
  let forwardedFor = "";
  let forwardedProto = "";
  // Of one piece with the request line, where that goes on as it came.
  let runStart = 0;
  if (forwarding.hostRewrite !== undefined || forwarding.path !== head.targetAsSent) {
    runStart = fields.nameStart[0] as number;
    out = `${head.method} ${forwarding.path} HTTP/1.1\r\n`;
    if (forwarding.hostRewrite !== undefined) out += `host: ${forwarding.hostRewrite}\r\n`;
  }
  for (let index = 0; index < fields.count; index++) {
    const id = fields.id[index] as number;
    let keep = true;
    if (id === FIELD.other) {
      keep = head.nominated.length === 0 || !head.nominated.includes(fields.name(index));
      if (keep && settings.underscores === "drop") keep = !fields.name(index).includes("_");
    } else {
      switch (id) {
        case FIELD.host:
          keep = forwarding.hostRewrite === undefined;
          break;
        case FIELD.forwardedFor:
          forwardedFor =
            forwardedFor === "" ? fields.value(index) : `${forwardedFor}, ${fields.value(index)}`;
          keep = false;
          break;
        case FIELD.forwardedProto:
          // Two are no scheme: which of them a proxy wrote nobody can tell.
          forwardedProto = `${forwardedProto === "" ? "" : `${forwardedProto}, `}${fields.value(index).toLowerCase()}`;
          keep = false;
          break;
        case FIELD.contentLength:
        case FIELD.transferEncoding:
        case FIELD.trailer:
        case FIELD.date:
        case FIELD.server:
          break;
        case FIELD.expect:
          keep = head.expectsContinue;
          break;
        // Connection, Keep-Alive, TE, Upgrade and so on; also X-Request-Id, which is written below.
        default:
          keep = false;
      }
    }
    if (keep) continue;
    out += text.slice(runStart, fields.nameStart[index]);
    runStart = fields.lineEnd[index] as number;
  }
  out += text.slice(runStart);

  if (head.acceptsTrailers) out += "te: trailers\r\n";
  if (head.upgrade !== "") out += `connection: upgrade\r\nupgrade: ${head.upgrade}\r\n`;
  if (forwarding.clientCertificate !== null)
    out += `x-forwarded-client-cert: ${forwarding.clientCertificate}\r\n`;
  const trusted = trustsForwarded(settings) && isScheme(forwardedProto);
  // Nearly always: one piece instead of five.
  if (settings.useRemoteAddress && forwardedFor === "" && !trusted)
    return `${out}${connectionLines(forwarding)}${forwarding.requestId}\r\n\r\n`;
  if (!settings.useRemoteAddress) {
    if (forwardedFor !== "") out += `x-forwarded-for: ${forwardedFor}\r\n`;
  } else {
    out +=
      forwardedFor === ""
        ? `x-forwarded-for: ${forwarding.remoteAddress}\r\n`
        : `x-forwarded-for: ${forwardedFor}, ${forwarding.remoteAddress}\r\n`;
  }
  const proto = trusted ? forwardedProto : schemeOf(forwarding);
  return `${out}x-forwarded-proto: ${proto}\r\nx-request-id: ${forwarding.requestId}\r\n\r\n`;
}

/** X-Forwarded-Proto is believed behind trusted proxies only (reference §2.7 `use_remote_address`, `xff_num_trusted_hops`). */
export function trustsForwarded(settings: HttpSettings): boolean {
  return !settings.useRemoteAddress || settings.xffTrustedHops > 0;
}

/** The value of the first field with this id, or "". */
export function firstValue(fields: FieldLines, id: number): string {
  for (let index = 0; index < fields.count; index++) if (fields.id[index] === id) return fields.value(index);
  return "";
}

/** The values of all fields with this id as one (RFC 9110 §5.3), or "": a client may send a line, and a proxy add another. */
export function wholeValue(fields: FieldLines, id: number): string {
  let whole = "";
  for (let index = 0; index < fields.count; index++)
    if (fields.id[index] === id) whole += `${whole === "" ? "" : ","}${fields.value(index)}`;
  return whole;
}

/**
 * The head to send to the client: the upstream's lines less what is hop-by-hop; `framing` and `close` are lines of ours.
 * An upgrade keeps its Connection and Upgrade.
 */
export function clientHead(head: ResponseHead, serverName: string, framing: string, close: boolean): string {
  const { fields } = head;
  const text = fields.text;
  const switching = head.status === 101;
  let out = "";
  let hasDate = false;
  let runStart = 0;
  if (!text.startsWith("HTTP/1.1")) {
    runStart = fields.count === 0 ? fields.end : (fields.nameStart[0] as number);
    out = `HTTP/1.1 ${head.statusText}\r\n`;
  }
  for (let index = 0; index < fields.count; index++) {
    const id = fields.id[index] as number;
    let keep = true;
    if (id === FIELD.other)
      keep = head.nominated.length === 0 || !head.nominated.includes(fields.name(index));
    else if (id === FIELD.date) hasDate = true;
    else if (id === FIELD.upgrade) keep = switching;
    // RFC 9110 §8.6: no such response has one.
    else if (id === FIELD.contentLength) keep = head.status >= 200 && head.status !== 204;
    else if (
      id === FIELD.connection ||
      id === FIELD.keepAlive ||
      id === FIELD.proxyConnection ||
      id === FIELD.server ||
      id === FIELD.http2Settings
    ) {
      keep = false;
    }
    if (keep) continue;
    out += text.slice(runStart, fields.nameStart[index]);
    runStart = fields.lineEnd[index] as number;
  }
  out += text.slice(runStart, fields.end);
  if (head.status < 200) return `${out}${switching ? "connection: upgrade\r\n" : ""}\r\n`;
  // RFC 9110 §6.6.1: a recipient that has a clock adds the Date an origin server left out.
  const date = hasDate ? "" : `date: ${new Date().toUTCString()}\r\n`;
  return `${out}server: ${serverName}\r\n${date}${framing}${close ? "connection: close\r\n" : ""}\r\n`;
}

/** What is said of a client's connection, up to the request's ID. */
function connectionLines(forwarding: Forwarding): string {
  const { remoteAddress, secure } = forwarding;
  const lines = secure ? secureLines : cleartextLines;
  const known = lines.get(remoteAddress);
  if (known !== undefined) return known;
  if (lines.size === MAX_ADDRESSES) lines.clear();
  // By way of bytes, so that it is one piece for V8, too: each write would put the pieces together again.
  const text = Buffer.from(
    `x-forwarded-for: ${remoteAddress}\r\nx-forwarded-proto: ${schemeOf(forwarding)}\r\nx-request-id: `,
    "latin1",
  ).toString("latin1");
  lines.set(remoteAddress, text);
  return text;
}

/** By remote address. Clients may be many: those behind a balancer, and the busy ones, are found again. */
const secureLines = new Map<string, string>();
const cleartextLines = new Map<string, string>();
const MAX_ADDRESSES = 1024;

function schemeOf({ secure }: Forwarding): "https" | "http" {
  return secure ? "https" : "http";
}

function isScheme(value: string): boolean {
  return value === "https" || value === "http";
}
