import { BodyReader } from "../http1/body.ts";
import { contentOf } from "../http1/content.ts";
import { problemOfPartial, type ResponseHead } from "../http1/response-head.ts";
import type { AnswerLine, Authorizer } from "./authorizer.ts";

/** What an authorization service said, once it is complete. */
export interface AuthAnswer {
  readonly status: number;
  /** `403 Forbidden`, as sent. */
  readonly statusText: string;
  readonly lines: readonly AnswerLine[];
  readonly body: Buffer;
}

/** Reads an authorization service's answer: strictly, whole, and not without bound. */
export class AnswerReader {
  /** The connection may carry another question. */
  reusable = true;
  keepAliveSeconds: number | null = null;
  /** Nothing has come. */
  untouched = true;
  readonly #authorizer: Authorizer;
  readonly #isHead: boolean;
  readonly #body = new BodyReader();
  /** Copies: the bytes are the socket's, and the next read overwrites them. */
  readonly #pieces: Buffer[] = [];
  #partialHead: Buffer | null = null;
  #head: Omit<AuthAnswer, "body"> | null = null;
  #chunked = false;

  constructor(authorizer: Authorizer, isHead: boolean) {
    this.#authorizer = authorizer;
    this.#isHead = isHead;
  }

  /** Takes what came: null while more is needed, a text where it is no answer. `parser` is filled anew. */
  take(chunk: Buffer, parser: ResponseHead, maxHeadBytes: number): AuthAnswer | string | null {
    this.untouched = false;
    if (this.#head !== null) return this.#read(chunk, 0);
    const bytes = this.#partialHead === null ? chunk : Buffer.concat([this.#partialHead, chunk]);
    this.#partialHead = null;
    for (let from = 0; ; ) {
      const blank = bytes.indexOf("\r\n\r\n", from);
      if ((blank === -1 ? bytes.length : blank) - from > maxHeadBytes) return "head too large";
      if (blank === -1) {
        const problem = problemOfPartial(bytes, from);
        if (problem !== null) return problem;
        this.#partialHead = Buffer.from(bytes.subarray(from));
        return null;
      }
      const problem = parser.parse(bytes, from, blank + 2);
      if (problem !== null) return problem;
      from = blank + 4;
      if (parser.status === 101) return "101 to a request without Upgrade";
      if (parser.status >= 200) return this.#begin(parser, bytes, from);
    }
  }

  /** The service closed in due form: the answer, where that is how it ends. */
  end(): AuthAnswer | null {
    return this.#head !== null && this.#body.untilClose ? this.#whole(this.#head) : null;
  }

  #begin(parser: ResponseHead, bytes: Buffer, from: number): AuthAnswer | string | null {
    const { status, statusText, fields, nominated } = parser;
    const lines = this.#authorizer.takeFrom(fields, nominated, status !== 200);
    this.#head = { status, statusText, lines };
    this.#chunked = parser.chunked;
    this.keepAliveSeconds = parser.keepAliveSeconds;
    if (this.#isHead || status === 204 || status === 304) this.#body.startNone();
    else if (parser.chunked) this.#body.startChunked();
    else if (parser.contentLength !== -1) this.#body.startSized(parser.contentLength);
    else this.#body.startUntilClose();
    this.reusable = !parser.close && !this.#body.untilClose;
    return this.#read(bytes, from);
  }

  #read(bytes: Buffer, from: number): AuthAnswer | string | null {
    const end = this.#body.read(bytes, from);
    if (end === -1) return "malformed chunked body";
    if (this.#body.bytes > MAX_BODY_BYTES) return `more than ${MAX_BODY_BYTES} bytes`;
    if (this.#body.forwardEnd > from)
      this.#pieces.push(Buffer.from(bytes.subarray(from, this.#body.forwardEnd)));
    if (end < bytes.length) this.reusable = false;
    return this.#body.done && this.#head !== null ? this.#whole(this.#head) : null;
  }

  #whole(head: Omit<AuthAnswer, "body">): AuthAnswer {
    return { ...head, body: contentOf(Buffer.concat(this.#pieces), this.#chunked) };
  }
}

/** A login page at most: what is larger is no answer to a yes-or-no question. */
const MAX_BODY_BYTES = 1_048_576;
