import { CR, FIELD, hasBareLf, LF, SPACE } from "./fields.ts";
import { MessageHead } from "./message-head.ts";

/**
 * A response head (RFC 9112 §4), parsed as strictly as a request's: an upstream that two parsers could read differently
 * gets 502, since the client behind us is one of the two. Filled again for each response.
 */
export class ResponseHead extends MessageHead {
  status = 0;
  /** `200 OK`, as sent. */
  statusText = "";
  /** Seconds of `Keep-Alive: timeout=`, null where the upstream says nothing. */
  keepAliveSeconds: number | null = null;
  #isHttp10 = false;

  /**
   * Parses `bytes[from, to)`, status line to the last field's CRLF; what stands behind an empty line is no part of the head.
   * Null, or what is wrong.
   */
  parse(bytes: Buffer, from: number, to: number): string | null {
    this.resetFraming();
    this.keepAliveSeconds = null;
    const { fields } = this;
    fields.text = bytes.toString("latin1", from, to);
    const minor = bytes[from + 7];
    if (!fields.text.startsWith(HTTP_1) || (minor !== 0x31 && minor !== 0x30) || bytes[from + 8] !== SPACE) {
      return "malformed status line";
    }
    // HTTP/1.0 keeps alive only when it says so; such a connection is used once.
    this.#isHttp10 = minor === 0x30;
    if (this.#isHttp10) this.close = true;
    let at = from + 9;
    this.status = 0;
    while (at < from + 12) {
      const digit = (bytes[at++] as number) - 0x30;
      if (digit < 0 || digit > 9) return "malformed status code";
      this.status = this.status * 10 + digit;
    }
    if (this.status < 100) return "malformed status code";
    if (bytes[at] !== SPACE && bytes[at] !== CR) return "malformed status code";
    while ((bytes[at] as number) >= SPACE || bytes[at] === 0x09) {
      if (bytes[at] === 0x7f) break;
      at++;
    }
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return "malformed reason phrase";
    this.statusText = fields.text.slice(9, at - from);
    return fields.parse(bytes, from, at + 2, to) ?? this.#interpret();
  }

  #interpret(): string | null {
    const { fields } = this;
    for (let index = 0; index < fields.count; index++) {
      if (fields.id[index] === FIELD.keepAlive) {
        const timeout = /timeout\s*=\s*"?(\d{1,6})/i.exec(fields.value(index));
        if (timeout !== null) this.keepAliveSeconds = Number(timeout[1]);
        continue;
      }
      const problem = this.readFraming(index);
      if (problem !== null) return problem;
    }
    const problem = this.framingProblem();
    if (problem !== null) return problem;
    // RFC 9112 §6.1: what speaks HTTP/1.0 does not know of chunks, and what stands between may have passed them on as they were.
    if (this.#isHttp10 && this.chunked) return "Transfer-Encoding in HTTP/1.0";
    // RFC 9112 §6.1: neither may come with these.
    if ((this.status < 200 || this.status === 204) && this.chunked)
      return "Transfer-Encoding in a response without body";
    return null;
  }
}

/** What is wrong with a head already before all of it is there: who speaks another protocol may never end one. */
export function problemOfPartial(bytes: Buffer, from: number): string | null {
  const start = bytes.toString("latin1", from, from + HTTP_1.length);
  if (!HTTP_1.startsWith(start)) return "malformed status line";
  return hasBareLf(bytes, from, bytes.length) ? "bare LF" : null;
}

const HTTP_1 = "HTTP/1.";
