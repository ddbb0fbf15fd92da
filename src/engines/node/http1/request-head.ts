import { CR, FIELD, LF, MALFORMED_NAME, SPACE, TOKEN, TOO_MANY_FIELDS } from "./fields.ts";
import { MessageHead } from "./message-head.ts";

/**
 * A request head (RFC 9112 §3), parsed strictly. One instance is filled again for each request: what outlives the call
 * is taken out of it at once.
 */
export class RequestHead extends MessageHead {
  method = "";
  /** Origin-form, as sent (an absolute-form target is reduced to it), or `*`. */
  target = "";
  targetAsSent = "";
  /** Authority in lower case, with its port if one was sent. */
  host = "";
  /** The same without the port. */
  hostname = "";
  /** What `host` and `hostname` were made of. */
  #hostAsSent: string | null = null;
  expectsContinue = false;
  acceptsTrailers = false;
  /** The one protocol that the client asks to switch to, in lower case; empty: none (RFC 9110 §7.8 lets us leave several, and h2c, alone). */
  upgrade = "";

  /** Parses `bytes[from, to)`, start line to the last field's CRLF. Null, or what to answer. */
  parse(bytes: Buffer, from: number, to: number): HeadProblem | null {
    this.resetFraming();
    this.expectsContinue = this.acceptsTrailers = false;
    this.upgrade = "";
    this.fields.text = bytes.toString("latin1", from, to);

    let at = from;
    while (TOKEN[bytes[at] as number] === 1) at++;
    if (at === from || bytes[at] !== SPACE) return bad("malformed method");
    this.method = this.fields.text.slice(0, at - from);
    const targetStart = ++at;
    // Visible ASCII only (RFC 3986 §2); `#` never reaches a server (RFC 9112 §3.2.1).
    for (let byte = bytes[at] as number; byte > SPACE && byte < 0x7f && byte !== 0x23; )
      byte = bytes[++at] as number;
    if (at === targetStart || bytes[at] !== SPACE) return bad("malformed request target");
    this.target = this.targetAsSent = this.fields.text.slice(targetStart - from, at - from);
    const versionAt = ++at - from;
    while (at < to && bytes[at] !== CR) at++;
    if (bytes[at + 1] !== LF) return bad("malformed start line");
    if (at - from !== versionAt + 8 || !this.fields.text.startsWith("HTTP/1.1", versionAt)) {
      const version = this.fields.text.slice(versionAt, at - from);
      if (version === "HTTP/1.0") return { reason: "http10_refused", cause: "HTTP/1.0" };
      if (/^HTTP\/\d\.\d$/.test(version)) return { reason: "http_version_unsupported", cause: version };
      return bad("malformed HTTP version");
    }
    const problem = this.fields.parse(bytes, from, at + 2, to);
    if (problem === TOO_MANY_FIELDS) return { reason: "head_too_large", cause: problem };
    if (problem !== null) return bad(problem);
    if (this.fields.end !== to - from) return bad(MALFORMED_NAME);
    return this.#interpret();
  }

  #interpret(): HeadProblem | null {
    const { fields } = this;
    let hostAt = -1;
    let upgrade = "";
    for (let index = 0; index < fields.count; index++) {
      switch (fields.id[index]) {
        case FIELD.host:
          if (hostAt !== -1) return bad("several Host fields");
          hostAt = index;
          break;
        case FIELD.upgrade:
          upgrade += (upgrade === "" ? "" : ",") + fields.value(index).toLowerCase();
          break;
        case FIELD.expect:
          if (this.expectsContinue || fields.value(index).toLowerCase() !== "100-continue") {
            return { reason: "expectation_failed", cause: "unknown Expect" };
          }
          this.expectsContinue = true;
          break;
        case FIELD.te:
          this.acceptsTrailers = /(?:^|,)\s*trailers\s*(?:,|$)/i.test(fields.value(index));
          break;
        default: {
          const problem = this.readFraming(index);
          if (problem !== null) return bad(problem);
        }
      }
    }
    const problem = this.framingProblem();
    if (problem !== null) return bad(problem);
    if (this.connectionOptions > MAX_OPTIONS) return bad("too many Connection options");
    if (this.nominated.some((name) => ESSENTIAL.has(name)))
      return bad("Connection nominates an essential field");
    if (this.connectionUpgrade && PROTOCOL.test(upgrade) && this.contentLength <= 0 && !this.chunked)
      this.upgrade = upgrade === "h2c" ? "" : upgrade;
    if (hostAt === -1) return bad("no Host");
    // Most requests name the host of the one before.
    if (this.#hostAsSent === null || !fields.is(hostAt, this.#hostAsSent)) {
      const host = fields.value(hostAt);
      const lower = host.toLowerCase();
      const authority = AUTHORITY.exec(lower);
      if (authority === null) return bad("malformed Host");
      this.host = lower;
      this.hostname = authority[1] as string;
      // A copy: V8 may make a value a view of its whole head.
      this.#hostAsSent = Buffer.from(host, "latin1").toString("latin1");
    }
    return this.#reduceTarget();
  }

  #reduceTarget(): HeadProblem | null {
    // Before paths: whoever reads the answer to a CONNECT takes what follows a 2xx for a tunnel (RFC 9110 §9.3.6).
    if (this.method === "CONNECT") {
      if (!AUTHORITY.test(this.target.toLowerCase())) return bad("CONNECT to what is no authority");
      return { reason: "method_not_supported", cause: "CONNECT" };
    }
    if (this.target.charCodeAt(0) === 0x2f) return null;
    if (this.target === "*") return this.method === "OPTIONS" ? null : bad("`*` without OPTIONS");
    const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(this.target);
    if (absolute === null) return bad("malformed request target");
    // RFC 9112 §3.2.2 would let the target win; a second opinion about the host is refused instead (docs/errors.md).
    if ((absolute[1] as string).toLowerCase() !== this.host) return bad("absolute-form with another Host");
    const rest = absolute[2] as string;
    this.target = rest.startsWith("/") ? rest : `/${rest}`;
    return null;
  }
}

export interface HeadProblem {
  readonly reason:
    | "bad_request"
    | "head_too_large"
    | "http10_refused"
    | "http_version_unsupported"
    | "expectation_failed"
    | "method_not_supported";
  readonly cause: string;
}

/** uri-host [ ":" port ] of RFC 9110 §7.2: a reg-name as DNS and Kubernetes use it, or an address. */
const AUTHORITY = /^([a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/;
/** protocol-name [ "/" protocol-version ] of RFC 9110 §7.8. */
const PROTOCOL = /^[!#$%&'*+.^_`|~0-9a-z-]+(?:\/[!#$%&'*+.^_`|~0-9a-z-]+)?$/;
/** Envoy's bound. Each name is looked for in every field, and nobody has so many. */
const MAX_OPTIONS = 10;
/** Nobody may have them taken away. */
const ESSENTIAL = new Set(
  (
    "host content-length transfer-encoding authorization cookie " +
    "x-forwarded-for x-forwarded-host x-forwarded-proto"
  ).split(" "),
);

function bad(cause: string): HeadProblem {
  return { reason: "bad_request", cause };
}
