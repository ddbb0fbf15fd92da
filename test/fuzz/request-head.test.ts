import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { it } from "node:test";
import fc from "../support/fast-check.ts";
import { BodyReader } from "../../src/engines/node/http1/body.ts";
import { FieldLines } from "../../src/engines/node/http1/fields.ts";
import { normalisePath } from "../../src/engines/node/http1/path.ts";
import { RequestHead } from "../../src/engines/node/http1/request-head.ts";
import { ResponseHead } from "../../src/engines/node/http1/response-head.ts";

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 400);

/** Pieces that requests, and attacks on their parsers, are made of. */
const piece = fc.constantFrom(
  "GET ",
  "POST ",
  "/",
  "/a?b",
  " HTTP/1.1",
  "HTTP/1.0",
  "\r\n",
  "\n",
  "\r",
  "Host: a",
  "host:b",
  "Content-Length: 3",
  "Content-Length: 3 ",
  "Content-Length:+3",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding: identity",
  "X: y",
  "X : y",
  " folded",
  "\tfolded",
  "Connection: close",
  "Connection: host",
  "\0",
  "é",
  ":",
  " ",
  "abc",
  "Expect: 100-continue",
);
const head = fc
  .array(piece, { maxLength: 12 })
  .chain((pieces) =>
    fc.constantFrom(
      pieces.join(""),
      `GET / HTTP/1.1\r\nHost: a\r\n${pieces.join("")}`,
      `POST / HTTP/1.1\r\nHost: a\r\n${pieces.join("\r\n")}`,
    ),
  );

function accepts(text: string): RequestHead | null {
  const bytes = Buffer.from(`${text}\r\n\r\n`, "latin1");
  const blank = bytes.indexOf("\r\n\r\n");
  const parsed = new RequestHead(100);
  return parsed.parse(bytes, 0, blank + 2) === null ? parsed : null;
}

it("never accepts a head that Node's own parser refuses or reads with another framing", async () => {
  const server = createServer((request, response) => {
    response.end(
      JSON.stringify([
        request.method,
        request.headers.host,
        request.headers["content-length"] ?? null,
        request.headers["transfer-encoding"] ?? null,
      ]),
    );
  });
  server.on("clientError", (_error, socket) =>
    socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  let compared = 0;
  try {
    await fc.assert(
      fc.asyncProperty(head, async (text) => {
        const ours = accepts(text);
        if (ours === null || ours.expectsContinue) return;
        compared++;
        const bytes = Buffer.from(`${text}\r\n\r\n`, "latin1");
        const answer = await ask(port, bytes.subarray(0, bytes.indexOf("\r\n\r\n") + 4));
        assert.match(answer, /^HTTP\/1\.1 200/, JSON.stringify(text));
        const theirs = JSON.parse(/\[.*\]/.exec(answer)?.[0] ?? "[]") as unknown[];
        const length = ours.contentLength === -1 ? null : String(ours.contentLength);
        assert.deepEqual(
          [theirs[0], String(theirs[1]).toLowerCase(), theirs[2], theirs[3] === null ? null : "chunked"],
          [ours.method, ours.host, length, ours.chunked ? "chunked" : null],
        );
      }),
      { numRuns: RUNS },
    );
  } finally {
    server.close();
    server.closeAllConnections();
  }
  assert.ok(compared > 10, `only ${compared} heads were accepted: the generator says too little`);
});

it("a head reads the same whatever its parser has read before", () => {
  const fields = [
    "Content-Length: 3",
    "Transfer-Encoding: chunked",
    "Connection: close",
    "Connection: x-hop",
    "Connection: upgrade",
    "Upgrade: websocket",
    "Expect: 100-continue",
    "TE: trailers",
    "Keep-Alive: timeout=5",
    "X-Hop: y",
  ];
  const lines = fc.shuffledSubarray(fields).map((some) => some.map((field) => `${field}\r\n`).join(""));
  const read = <Head extends RequestHead | ResponseHead>(parser: Head, start: string, text: string) => {
    const bytes = Buffer.from(start + text, "latin1");
    const problem = parser.parse(bytes, 0, bytes.length);
    const { fields: parsed, ...rest } = parser;
    return problem ?? { ...rest, count: parsed.count, text: parsed.text };
  };
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      for (const [start, create] of [
        ["GET / HTTP/1.1\r\nHost: a\r\n", () => new RequestHead(100)],
        ["HTTP/1.1 200 OK\r\n", () => new ResponseHead(100)],
      ] as const) {
        const used = create();
        read(used, start, before);
        assert.deepEqual(read(used, start, after), read(create(), start, after));
      }
    }),
    { numRuns: 2000 },
  );
});

it("a response that is read with what stands behind its head is read as its head alone", () => {
  const read = (parser: ResponseHead, bytes: Buffer, to: number) => {
    const problem = parser.parse(bytes, 0, to);
    const { fields: parsed, ...rest } = parser;
    const lines = Array.from({ length: parsed.count }, (_, at) => [parsed.name(at), parsed.value(at)]);
    return problem ?? { ...rest, lines, end: parsed.end };
  };
  let compared = 0;
  fc.assert(
    fc.property(head, head, (lines, behind) => {
      const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${lines}\r\n\r\n${behind}`, "latin1");
      const blank = bytes.indexOf("\r\n\r\n");
      const whole = read(new ResponseHead(100), bytes, bytes.length);
      // What is refused is looked at again, by its head alone.
      if (typeof whole === "string") return;
      compared++;
      assert.equal(whole.end, blank + 2);
      assert.deepEqual(whole, read(new ResponseHead(100), bytes, blank + 2));
    }),
    { numRuns: 2000 },
  );
  assert.ok(compared > 100, `only ${compared} heads were accepted: the generator says too little`);
});

it("a request that is good up to the empty line at its bytes' end has no empty line before", () => {
  let good = 0;
  fc.assert(
    fc.property(head, (text) => {
      const bytes = Buffer.from(`${text}\r\n\r\n`, "latin1");
      if (new RequestHead(100).parse(bytes, 0, bytes.length - 2) !== null) return;
      good++;
      assert.equal(bytes.indexOf("\r\n\r\n"), bytes.length - 4);
    }),
    { numRuns: 2000 },
  );
  assert.ok(good > 50, `only ${good} heads were accepted: the generator says too little`);
});

it("numbers are read as they are written, and nothing else is one", () => {
  const fields = new FieldLines(1);
  const numberOf = (value: string): number => {
    const bytes = Buffer.from(`x: ${value}\r\n`, "latin1");
    assert.equal(fields.parse(bytes, 0, 0, bytes.length), null);
    fields.text = bytes.toString("latin1");
    assert.ok(fields.is(0, value.trim()));
    assert.ok(!fields.is(0, `${value.trim()}1`));
    return fields.number(0);
  };
  fc.assert(fc.property(fc.nat(), (number) => numberOf(String(number)) === number));
  assert.equal(numberOf("999999999999999"), 999_999_999_999_999);
  for (const value of ["", "1000000000000000", "-1", "+1", "1.0", "1 1", "1,1", "0x1", "1e3", "\u00b2"])
    assert.equal(numberOf(value), -1, value);
});

it("neither head parser nor body reader throws on any bytes, and both end within them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (raw) => {
      const bytes = Buffer.from(raw);
      accepts(bytes.toString("latin1"));
      const body = new BodyReader();
      body.startChunked();
      const end = body.read(bytes, 0);
      assert.ok(end >= -1 && end <= bytes.length);
    }),
    { numRuns: 2000 },
  );
});

it("a chunked body reads the same however it is cut, and leaves what follows", () => {
  const chunk = fc.string({ minLength: 1, maxLength: 20, unit: "binary-ascii" });
  fc.assert(
    fc.property(
      fc.array(chunk, { maxLength: 6 }),
      fc.boolean(),
      fc.array(fc.nat(400), { maxLength: 6 }),
      (chunks, trailers, cuts) => {
        const framed = `${chunks.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`).join("")}0\r\n${trailers ? "x-sum: 1\r\n" : ""}\r\n`;
        const bytes = Buffer.from(`${framed}GET /next`, "latin1");
        const body = new BodyReader();
        body.startChunked();
        let forwarded = "";
        let taken = 0;
        const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b);
        let from = 0;
        for (const end of ends) {
          if (body.done) break;
          const part = bytes.subarray(from, end);
          const used = body.read(part, 0);
          assert.notEqual(used, -1);
          forwarded += part.toString("latin1", 0, body.forwardEnd);
          taken = from + used;
          from = end;
        }
        assert.ok(body.done);
        assert.equal(forwarded + body.tail, framed);
        assert.equal(bytes.toString("latin1", taken), "GET /next");
      },
    ),
    { numRuns: 1000 },
  );
});

it("a normalised path has no dot segment, is a fixed point, and stays below the root", () => {
  const segment = fc.constantFrom(
    "a",
    "..",
    ".",
    "%2e",
    "%2E%2e",
    "..;",
    ".%2e;a=b",
    "%41",
    "a|b",
    "{",
    "",
    "\\",
    "%2f",
    "b%20c",
  );
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 8 }), fc.boolean(), (segments, mergeSlashes) => {
      const options = { mergeSlashes, rejectEscapedSlashes: false };
      const { path } = normalisePath(`/${segments.join("/")}`, options);
      if (path === undefined) return;
      assert.match(path, /^\//);
      assert.doesNotMatch(path, /(?:^|\/)\.{1,2}(?:[/;]|$)|[\\|{]|%2e|%41/i);
      assert.equal(normalisePath(path, options).path, path);
    }),
    { numRuns: 2000 },
  );
});

function ask(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let answer = "";
    const finish = (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(2000, finish);
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (/\r\n\r\n/.test(answer)) setTimeout(finish, 1);
    });
    socket.on("error", finish).on("end", finish);
  });
}
