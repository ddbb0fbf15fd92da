import type { Http2ServerRequest, Http2ServerResponse, ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";

/** A message's bytes, in pieces that follow each other. They are shared by whoever is sent them: nobody changes them. */
export type Pieces = readonly Uint8Array[];

/** A method with a stream each way. A ConnectError that it throws is the stream's status. */
export type StreamingMethod = (requests: AsyncIterable<Uint8Array>) => AsyncIterable<Pieces>;

/**
 * A bidirectional gRPC method on HTTP/2 (gRPC over HTTP2, "Requests" and "Responses"), without copies of what is sent: a hundred
 * clients that connect at once are given the same megabytes, which would be once more in memory for each, and again in their envelope.
 * Throws what the method did if that is no status, to be logged: the client learns only that it failed.
 */
export async function serveStream(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  method: StreamingMethod,
  mostRequestBytes: number,
): Promise<void> {
  const { stream } = response;
  // Reading and writing find it out, below.
  stream.on("error", () => undefined);
  if (!/^application\/grpc(?:\+proto)?(?:;|$)/.test(request.headers["content-type"] ?? "")) {
    response.writeHead(415).end();
    return;
  }
  try {
    for await (const message of method(requestsOf(request, mostRequestBytes))) {
      if (!response.headersSent) response.writeHead(200, HEADERS);
      await write(stream, message);
    }
    end(response, null);
  } catch (error) {
    if (stream.closed || stream.destroyed) return;
    end(response, error instanceof ConnectError ? error : INTERNAL);
    if (!(error instanceof ConnectError)) throw error;
  }
}

async function* requestsOf(
  { headers, stream }: Http2ServerRequest,
  mostBytes: number,
): AsyncGenerator<Uint8Array> {
  const encoding = headers["grpc-encoding"] ?? "identity";
  if (encoding !== "identity")
    throw new ConnectError(`messages compressed by ${encoding} are not read`, Code.Unimplemented);
  let chunks: Buffer[] = [];
  let held = 0;
  let wanted = ENVELOPE_BYTES;
  // Its end is not the stream's: the status follows.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    held += chunk.length;
    while (held >= wanted) {
      const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      const length = bytes.readUInt32BE(1);
      if (bytes[0] !== 0) throw new ConnectError("a message is compressed, and not read", Code.Internal);
      if (length > mostBytes)
        throw new ConnectError(`a message is larger than ${mostBytes} bytes`, Code.ResourceExhausted);
      wanted = ENVELOPE_BYTES + length;
      chunks = [bytes];
      if (held < wanted) break;
      yield bytes.subarray(ENVELOPE_BYTES, wanted);
      chunks = [bytes.subarray(wanted)];
      held -= wanted;
      wanted = ENVELOPE_BYTES;
    }
  }
  if (held > 0) throw new ConnectError("the stream ended within a message", Code.InvalidArgument);
}

/**
 * As fast as the client reads, however wide a window it opens: what is handed to HTTP/2 is copied once to be encrypted, and
 * the memory of all copies at once, one a client, would never be given back.
 */
async function write(stream: ServerHttp2Stream, pieces: Pieces): Promise<void> {
  const envelope = Buffer.alloc(ENVELOPE_BYTES);
  envelope.writeUInt32BE(
    pieces.reduce((sum, { length }) => sum + length, 0),
    1,
  );
  stream.cork();
  stream.write(envelope);
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += AT_ONCE_BYTES) {
      stream.write(piece.subarray(at, at + AT_ONCE_BYTES));
      if (!stream.writableNeedDrain) continue;
      stream.uncork();
      await drained(stream);
      stream.cork();
    }
  }
  stream.uncork();
  await drained(stream);
}

async function drained(stream: ServerHttp2Stream): Promise<void> {
  if (stream.closed || stream.destroyed) throw gone();
  if (!stream.writableNeedDrain) return;
  await new Promise<void>((resolve, reject) => {
    const done = (): void => {
      stream.off("drain", done).off("close", done);
      if (stream.destroyed) reject(gone());
      else resolve();
    };
    stream.on("drain", done).on("close", done);
  });
}

function gone(): ConnectError {
  return new ConnectError("the stream is closed", Code.Canceled);
}

function end(response: Http2ServerResponse, failure: ConnectError | null): void {
  const status =
    failure === null
      ? { "grpc-status": "0" }
      : { "grpc-status": String(failure.code), "grpc-message": encodeURIComponent(failure.rawMessage) };
  // "Trailers-Only": who was sent nothing gets the status as headers.
  if (response.headersSent) response.addTrailers(status);
  else for (const [name, value] of Object.entries({ ...HEADERS, ...status })) response.setHeader(name, value);
  response.end();
}

/** One byte that says whether the message is compressed, and four of its length. */
const ENVELOPE_BYTES = 5;
const AT_ONCE_BYTES = 64 * 1024;
const INTERNAL = new ConnectError("internal error", Code.Internal);
const HEADERS = { "content-type": "application/grpc+proto" };
