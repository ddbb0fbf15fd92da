import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type ClientHttp2Stream,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type StreamingMethod, serveStream } from "../../../../../src/engines/envoy/ads/grpc-stream.ts";

const MOST = 1000;

async function open(t: TestContext, method: StreamingMethod, headers: Readonly<Record<string, string>> = {}) {
  const done: Promise<void>[] = [];
  let sending: ServerHttp2Stream | undefined;
  const server = createServer((request, response) => {
    sending = response.stream;
    const served = serveStream(request, response, method, MOST);
    served.catch(() => undefined);
    done.push(served);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.after(() => {
    session.destroy();
    server.close();
  });
  const stream = session.request({ ":method": "POST", "content-type": "application/grpc", ...headers });
  stream.on("error", () => undefined);
  /** Bytes that were handed to HTTP/2 and are not sent. */
  const waiting = (): number => sending?.writableLength ?? 0;
  return { stream, session, done, waiting };
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders | null;
  readonly body: string;
}

async function answer(stream: ClientHttp2Stream): Promise<Answer> {
  let trailers: IncomingHttpHeaders | null = null;
  stream.on("trailers", (received) => (trailers = received));
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { headers, trailers, body: Buffer.concat(chunks).toString("latin1") };
}

function message(text: string, flag = 0): Buffer {
  const envelope = Buffer.alloc(5);
  envelope[0] = flag;
  envelope.writeUInt32BE(text.length, 1);
  return Buffer.concat([envelope, Buffer.from(text, "latin1")]);
}

const echo: StreamingMethod = async function* (requests) {
  for await (const request of requests) yield [Buffer.from("<"), request, Buffer.from(">")];
};

test("messages come whole however they are cut, and go as one whatever their pieces", async (t) => {
  const { stream } = await open(t, echo);
  const answered = answer(stream);
  const sent = Buffer.concat([message("a"), message(""), message("b".repeat(MOST))]);
  const cuts = [1, 4, 5, 6, 7, 12, 13, 300];
  for (const [index, cut] of cuts.entries()) {
    stream.write(sent.subarray(cuts[index - 1] ?? 0, cut));
    await new Promise((resolve) => setImmediate(resolve));
  }
  stream.end(sent.subarray(cuts.at(-1)));
  const { headers, trailers, body } = await answered;
  const expected = ["<a>", "<>", `<${"b".repeat(MOST)}>`].map((text) => message(text));
  assert.equal(body, Buffer.concat(expected).toString("latin1"));
  assert.deepEqual([headers[":status"], headers["content-type"]], [200, "application/grpc+proto"]);
  assert.equal(trailers?.["grpc-status"], "0");
});

const REFUSED: readonly (readonly [
  what: string,
  sent: Buffer,
  headers: Record<string, string>,
  code: Code,
])[] = [
  ["too large a message", Buffer.from([0, 0, 0, 4, 0]), {}, Code.ResourceExhausted],
  ["a compressed message", message("a", 1), {}, Code.Internal],
  ["an encoding", message("a"), { "grpc-encoding": "gzip" }, Code.Unimplemented],
  ["an end within a message", message("abc").subarray(0, 6), {}, Code.InvalidArgument],
];
for (const [what, sent, headers, code] of REFUSED) {
  test(`${what} is refused by a status`, async (t) => {
    const { stream } = await open(t, echo, headers);
    const answered = answer(stream);
    stream.end(sent);
    const { headers: got, body } = await answered;
    assert.deepEqual([got["grpc-status"], body], [String(code), ""]);
  });
}

test("what is not gRPC is refused before the method is asked", async (t) => {
  const never: StreamingMethod = () => assert.fail();
  const { stream } = await open(t, never, { "content-type": "application/grpc-web+proto" });
  const answered = answer(stream);
  stream.end();
  assert.equal((await answered).headers[":status"], 415);
});

test("an error after messages comes in the trailers, while the client still writes", async (t) => {
  const { stream } = await open(t, async function* (requests) {
    for await (const request of requests) {
      yield [request];
      throw new ConnectError("enough, 100 %", Code.PermissionDenied);
    }
  });
  const answered = answer(stream);
  stream.write(message("a"));
  const { trailers, body } = await answered;
  assert.equal(body, message("a").toString("latin1"));
  assert.deepEqual([trailers?.["grpc-status"], trailers?.["grpc-message"]], ["7", "enough%2C%20100%20%25"]);
});

test("a fault of the method is told to its caller, and to the client only that there is one", async (t) => {
  const { stream, done } = await open(t, async function* () {
    yield [Buffer.from("a")];
    throw new Error("where keys are");
  });
  const { trailers } = await answer(stream);
  assert.deepEqual([trailers?.["grpc-status"], trailers?.["grpc-message"]], ["13", "internal%20error"]);
  await assert.rejects(Promise.all(done), /where keys are/);
});

test("a client that reads nothing is handed a part of a message at most, and when it goes the method ends", async (t) => {
  let written = 0;
  let ended = false;
  const { stream, session, done, waiting } = await open(t, async function* (requests) {
    try {
      for await (const _ of requests) break;
      for (; written < 100; written++) yield [Buffer.alloc(1_000_000), Buffer.alloc(1_000_000)];
    } finally {
      ended = true;
    }
  });
  stream.pause();
  stream.write(message("a"));
  await once(stream, "response");
  // By then whatever was written before has arrived.
  await new Promise<void>((resolve) => session.ping(() => session.ping(() => resolve())));
  assert.ok(waiting() > 0 && waiting() <= 64 * 1024 + 5, String(waiting()));
  assert.deepEqual([written, ended], [0, false]);
  session.destroy();
  await Promise.all(done);
  assert.deepEqual([written, ended], [0, true]);
});
