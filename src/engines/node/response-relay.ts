import type { Client } from "./client.ts";
import { type ErrorBodies, type ErrorBody, headWithBody } from "./error-bodies.ts";
import { BodyReader } from "./http1/body.ts";
import { clientHead } from "./http1/forward.ts";
import type { RequestHead } from "./http1/request-head.ts";
import { problemOfPartial, type ResponseHead } from "./http1/response-head.ts";
import { SMALL_BODY } from "./socket-text.ts";
import { turnTime } from "./turn.ts";

/** What the bytes just taken came to; a text says what was wrong with them. `refused`: the request is to be said again. */
export type RelayOutcome = "more" | "complete" | "switched" | "refused" | { readonly problem: string };

/** The response side of an exchange: reads what the upstream sends, strictly, and writes it to the client as it comes. */
export class ResponseRelay {
  readonly body: BodyReader = new BodyReader();
  status = 0;
  /** The final head has gone to the client: nothing else can be answered any more. */
  begun = false;
  /** `performance.now()` of the upstream's first byte, 0 before. */
  firstByteAt = 0;
  closesClient = false;
  upstreamReusable = true;
  keepAliveSeconds: number | null = null;
  /** What the route changes in the head that goes to the client. */
  edit: ((head: string) => string) | null = null;
  /** Whether a response with this status is to be thrown away, and the request said again; null: never. */
  refuses: ((status: number) => boolean) | null = null;
  /** Bodies that go to the client instead of an upstream's. */
  errors: ErrorBodies | null = null;
  /** The client's socket took the last write without asking for a pause. */
  flowing = true;
  readonly #connection: Client;
  readonly #isHead: boolean;
  readonly #expectsContinue: boolean;
  readonly #upgrade: boolean;
  #partialHead: Buffer | null = null;
  /** An interim response has gone to the client. */
  #interim = false;
  /** Bytes of the body that went out in place of the upstream's; -1: it is the upstream's. */
  #replacedBytes = -1;

  constructor(connection: Client, head: RequestHead) {
    this.#connection = connection;
    this.#isHead = head.method === "HEAD";
    this.#expectsContinue = head.expectsContinue;
    this.#upgrade = head.upgrade !== "";
  }

  /** Nothing of a response has come. */
  get untouched(): boolean {
    return !this.begun && this.#partialHead === null && this.firstByteAt === 0;
  }

  /** What came instead of a response's head is a TLS record (RFC 8446 §5.1): an alert, as a rule. */
  get saidTls(): boolean {
    const [type, major] = this.#partialHead ?? [];
    return (type === 21 || type === 22) && major === 3;
  }

  /** Nothing has gone to the client yet. */
  get unsent(): boolean {
    return !this.begun && !this.#interim;
  }

  /** More of a body is to come, and goes to the client as it is. */
  get passes(): boolean {
    const { body } = this;
    return this.begun && this.flowing && this.#replacedBytes === -1 && !body.done && !body.untilClose;
  }

  /** Begins anew, for the response of another try. */
  forget(): void {
    this.#partialHead = null;
    this.firstByteAt = this.status = 0;
  }

  /** Takes what came; `mustClose` is asked once the final head is there. */
  take(chunk: Buffer, mustClose: boolean): RelayOutcome {
    return this.begun ? this.#passBody(chunk, 0) : this.#readHead(chunk, mustClose);
  }

  /** The upstream closed in due form: true where that is how this response ends (RFC 9112 §6.3, rule 8). */
  end(): boolean {
    if (!this.begun || !this.body.untilClose) return false;
    this.#connection.write("0\r\n\r\n");
    return true;
  }

  /** True where the client has a whole response although the upstream's is not over: what is left of that is dropped. */
  abandon(): boolean {
    if (this.#replacedBytes === -1) return false;
    this.upstreamReusable = false;
    this.body.bytes = this.#replacedBytes;
    return true;
  }

  #readHead(chunk: Buffer, mustClose: boolean): RelayOutcome {
    const { serving } = this.#connection;
    const bytes = this.#partialHead === null ? chunk : Buffer.concat([this.#partialHead, chunk]);
    this.#partialHead = null;
    if (this.firstByteAt === 0) this.firstByteAt = turnTime();
    const head = serving.responseHead;
    let from = 0;
    for (;;) {
      const headAt = from;
      if (!this.#isWhole(head, bytes, from)) {
        const blank = bytes.indexOf(HEAD_END, from);
        const length = (blank === -1 ? bytes.length : blank) - from;
        if (length > serving.limits.maxHeadBytes) return { problem: "response head too large" };
        if (blank === -1) {
          // Copied: the bytes are the socket's, and the next read overwrites them.
          if (length > 0) this.#partialHead = Buffer.from(bytes.subarray(from));
          const problem = problemOfPartial(bytes, from);
          return problem === null ? "more" : { problem };
        }
        const problem = head.parse(bytes, from, blank + 2);
        if (problem !== null) return { problem };
      }
      from += head.fields.end + 2;
      if (head.status >= 200) {
        return this.refuses?.(head.status) === true
          ? this.#refuse(head, bytes, from)
          : this.#begin(head, bytes, headAt, from, mustClose);
      }
      if (head.status === 101) return this.#switchProtocols(head, bytes, from);
      // RFC 9110 §15.2: interim responses go on, but a 100 only to a client that waits for it.
      if (head.status !== 100 || this.#expectsContinue) {
        this.#interim = true;
        this.flowing = this.#connection.write(clientHead(head, "", "", false));
      }
    }
  }

  /** Reads a short response as it stands: where its head ends shows on the way, and its text is there for the body too. */
  #isWhole(head: ResponseHead, bytes: Buffer, from: number): boolean {
    const length = bytes.length - from;
    if (length > SHORT || length > this.#connection.serving.limits.maxHeadBytes) return false;
    return head.parse(bytes, from, bytes.length) === null && head.fields.end < length;
  }

  #switchProtocols(head: ResponseHead, bytes: Buffer, from: number): RelayOutcome {
    if (!this.#upgrade) return { problem: "101 to a request without Upgrade" };
    this.status = 101;
    this.begun = true;
    this.#connection.write(clientHead(head, "", "", false));
    if (bytes.length > from) this.#connection.writeBytes(bytes.subarray(from));
    return "switched";
  }

  /** The connection may serve again where all of the response is there. */
  #refuse(head: ResponseHead, bytes: Buffer, from: number): RelayOutcome {
    const body = new BodyReader();
    body.startResponse(head, this.#isHead);
    const whole = body.read(bytes, from) === bytes.length && body.done;
    this.status = head.status;
    this.keepAliveSeconds = head.keepAliveSeconds;
    this.upstreamReusable = whole && !head.close;
    return "refused";
  }

  #begin(head: ResponseHead, bytes: Buffer, headAt: number, from: number, mustClose: boolean): RelayOutcome {
    const { body } = this;
    body.startResponse(head, this.#isHead);
    const framing = body.untilClose ? "transfer-encoding: chunked\r\n" : "";
    this.keepAliveSeconds = head.keepAliveSeconds;
    this.upstreamReusable = !head.close && !body.untilClose;
    this.closesClient = mustClose;
    const end = body.read(bytes, from);
    if (end === -1) return { problem: "malformed chunked body" };
    this.status = head.status;
    this.begun = true;
    const plain = clientHead(head, this.#connection.serving.plan.settings.serverName, framing, mustClose);
    const text = this.edit === null ? plain : this.edit(plain);
    const replacement = this.errors === null ? null : this.errors.find(head.status, head.fields);
    if (replacement !== null) {
      this.#replace(text, replacement);
      return this.#drop(end < bytes.length);
    }
    const { forwardEnd } = body;
    if (body.done && forwardEnd - from <= SMALL_BODY) {
      if (end < bytes.length) this.upstreamReusable = false;
      // Head and body in one write: one TLS record, one system call.
      const known = head.fields.text;
      const piece =
        headAt + known.length >= forwardEnd
          ? known.slice(from - headAt, forwardEnd - headAt)
          : bytes.toString("latin1", from, forwardEnd);
      this.flowing = this.#connection.write(text + piece + body.tail);
      return "complete";
    }
    this.flowing = this.#connection.write(text);
    return this.#passRead(bytes, from, end);
  }

  #passBody(chunk: Buffer, from: number): RelayOutcome {
    const end = this.body.read(chunk, from);
    if (end === -1) return { problem: "malformed chunked body" };
    return this.#replacedBytes === -1 ? this.#passRead(chunk, from, end) : this.#drop(end < chunk.length);
  }

  #replace(head: string, replacement: ErrorBody): void {
    const text = headWithBody(head, replacement);
    this.#replacedBytes = this.#isHead ? 0 : replacement.text.length;
    this.flowing = this.#connection.write(this.#isHead ? text : text + replacement.text);
  }

  /** Reads what is replaced to its end, so that its connection may serve on; a long one is not worth it. */
  #drop(hasMore: boolean): RelayOutcome {
    const { body } = this;
    if (!body.done && !body.untilClose && body.bytes <= DROPPED_BYTES) return "more";
    if (hasMore || !body.done) this.upstreamReusable = false;
    body.bytes = this.#replacedBytes;
    return "complete";
  }

  /** Writes what `body` has just read of `bytes`. */
  #passRead(bytes: Buffer, from: number, end: number): RelayOutcome {
    const { body } = this;
    // Bytes behind the response answer no request: the connection is not to be trusted with another.
    if (end < bytes.length) this.upstreamReusable = false;
    if (body.forwardEnd > from) {
      const all = from === 0 && body.forwardEnd === bytes.length;
      const piece = all ? bytes : bytes.subarray(from, body.forwardEnd);
      if (body.untilClose) {
        this.#connection.write(`${piece.length.toString(16)}\r\n`);
        const flowing = this.#connection.writeBytes(piece);
        this.flowing = this.#connection.write("\r\n") && flowing;
      } else this.flowing = this.#connection.writeBytes(piece);
    }
    if (!body.done) return "more";
    if (body.tail !== "") this.#connection.write(body.tail);
    return "complete";
  }
}

const HEAD_END = Buffer.from("\r\n\r\n");
/** Up to this many bytes a response is read as text, head and body. */
const SHORT = 2048;
/** Up to this many bytes of a replaced body are read to keep its connection. */
const DROPPED_BYTES = 65_536;
