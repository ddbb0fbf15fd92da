import { CR, FIELD, FieldLines, LF, SPACE } from "./fields.ts";

/**
 * A response head (RFC 9112 §4), parsed as strictly as a request's: an upstream that two parsers could read differently
 * gets 502, since the client behind us is one of the two. Filled again for each response.
 */
export class ResponseHead {
  readonly fields: FieldLines;
  status = 0;
  /** `200 OK`, as sent. */
  statusText = "";
  contentLength = -1;
  chunked = false;
  close = false;
  upgrade = false;
  /** Seconds of `Keep-Alive: timeout=`, null where the upstream says nothing. */
  keepAliveSeconds: number | null = null;
  nominated: readonly string[] = NONE;

  constructor(maxFields: number) {
    this.fields = new FieldLines(maxFields);
  }

  /** Parses `bytes[from, to)`, status line to the last field's CRLF. Null, or what is wrong. */
  parse(bytes: Buffer, from: number, to: number): string | null {
    this.contentLength = -1;
    this.chunked = this.close = this.upgrade = false;
    this.keepAliveSeconds = null;
    this.nominated = NONE;
    const { fields } = this;
    fields.text = bytes.toString("latin1", from, to);
    const minor = bytes[from + 7];
    if (
      !fields.text.startsWith("HTTP/1.") ||
      (minor !== 0x31 && minor !== 0x30) ||
      bytes[from + 8] !== SPACE
    ) {
      return "malformed status line";
    }
    // HTTP/1.0 keeps alive only when it says so; such a connection is used once.
    if (minor === 0x30) this.close = true;
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
      switch (fields.id[index]) {
        case FIELD.contentLength: {
          const value = fields.value(index);
          if (this.contentLength !== -1) return "several Content-Length fields";
          if (!/^\d{1,15}$/.test(value)) return "malformed Content-Length";
          this.contentLength = Number(value);
          break;
        }
        case FIELD.transferEncoding:
          if (this.chunked) return "several Transfer-Encoding fields";
          if (fields.value(index).toLowerCase() !== "chunked") return "Transfer-Encoding is not chunked";
          this.chunked = true;
          break;
        case FIELD.connection:
          for (const option of fields.value(index).toLowerCase().split(",")) {
            const name = option.trim();
            if (name === "close") this.close = true;
            else if (name === "upgrade") this.upgrade = true;
            else if (name !== "keep-alive" && name !== "") this.nominated = [...this.nominated, name];
          }
          break;
        case FIELD.keepAlive: {
          const timeout = /timeout\s*=\s*"?(\d{1,6})/i.exec(fields.value(index));
          if (timeout !== null) this.keepAliveSeconds = Number(timeout[1]);
          break;
        }
      }
    }
    if (this.chunked && this.contentLength !== -1) return "Content-Length beside Transfer-Encoding";
    // RFC 9112 §6.1: neither may come with these.
    if ((this.status < 200 || this.status === 204) && this.chunked)
      return "Transfer-Encoding in a response without body";
    return null;
  }
}

const NONE: readonly string[] = [];
