import { FIELD, FieldLines } from "./fields.ts";

/**
 * What a request and a response head have in common: how the body is framed and what becomes of the connection
 * (RFC 9112 §6, §9). One reading for both directions, since two readings of one message are what smuggling lives on.
 */
export abstract class MessageHead {
  readonly fields: FieldLines;
  /** -1: no Content-Length. */
  contentLength = -1;
  chunked = false;
  close = false;
  /** Names in lower case that Connection nominates (RFC 9110 §7.6.1). */
  nominated: readonly string[] = NONE;
  /** Connection has the option `upgrade`. */
  protected connectionUpgrade = false;
  protected connectionOptions = 0;

  constructor(maxFields: number) {
    this.fields = new FieldLines(maxFields);
  }

  protected resetFraming(): void {
    this.contentLength = -1;
    this.connectionOptions = 0;
    this.chunked = this.close = this.connectionUpgrade = false;
    this.nominated = NONE;
  }

  /** Takes in the field at `index` if it is one of framing or connection. Null, or what is wrong with it. */
  protected readFraming(index: number): string | null {
    const { fields } = this;
    switch (fields.id[index]) {
      case FIELD.contentLength: {
        if (this.contentLength !== -1) return "several Content-Length fields";
        this.contentLength = fields.number(index);
        if (this.contentLength === -1) return "malformed Content-Length";
        break;
      }
      case FIELD.transferEncoding:
        if (this.chunked) return "several Transfer-Encoding fields";
        if (fields.value(index).toLowerCase() !== "chunked") return "Transfer-Encoding is not chunked";
        this.chunked = true;
        break;
      case FIELD.connection:
        // What nearly all say.
        if (fields.is(index, "keep-alive")) break;
        this.#readConnection(fields.value(index).toLowerCase());
        break;
    }
    return null;
  }

  #readConnection(value: string): void {
    const nominated = [...this.nominated];
    for (const option of value.split(",")) {
      const name = option.trim();
      if (name === "") continue;
      this.connectionOptions++;
      if (name === "close") this.close = true;
      else if (name === "upgrade") this.connectionUpgrade = true;
      else if (name !== "keep-alive") nominated.push(name);
    }
    this.nominated = nominated;
  }

  /** Once all fields are read. RFC 9112 §6.3: both is how smuggling starts; refused even where chunked would win. */
  protected framingProblem(): string | null {
    return this.chunked && this.contentLength !== -1 ? "Content-Length beside Transfer-Encoding" : null;
  }
}

const NONE: readonly string[] = [];
