import fc from "../support/fast-check.ts";
import { answerTo, type Seen, seenOf, type Way } from "./pipeline-upstream.ts";

/** One thing that a client says on its connection. */
export type Said =
  | {
      readonly kind: "request";
      readonly method: string;
      readonly upstream: string;
      readonly way: Way;
      readonly body: Body;
      readonly expects: boolean;
      readonly closes: boolean;
      /** RFC 9112 §2.2: one empty line before it is ignored. */
      readonly emptyLine: boolean;
    }
  /** A good request that no Mapping takes. */
  | { readonly kind: "nowhere" }
  /** What ends the connection, with an error. */
  | { readonly kind: "poison"; readonly text: string };

type Body =
  | { readonly framing: "none" }
  | { readonly framing: "sized"; readonly length: number }
  | {
      readonly framing: "chunked";
      readonly lengths: readonly number[];
      readonly extension: string;
      readonly trailers: boolean;
    };

/** What it comes to. `status` null: an error, and the end. */
export interface Expected {
  readonly status: number | null;
  /** Null: whatever it is. */
  readonly body: string | null;
  readonly hints: number;
  readonly mayContinue: boolean;
  /** Null: either. */
  readonly closes: boolean | null;
  readonly seen: readonly Seen[];
  /** What an authorization service is asked, which may see so much of a body. */
  readonly asked: Seen | null;
}

/** An authorization service sees so much of a body. */
export const SHOWN_BYTES = 4096;
/** A longer one is not said again. */
const KEPT_BYTES = 65_536;

const anyLength = fc.oneof(
  { weight: 4, arbitrary: fc.nat(100) },
  { weight: 1, arbitrary: fc.constantFrom(16_384, 16_385, 65_536, 200_000) },
);

const bodies = (length: fc.Arbitrary<number>): fc.Arbitrary<Body> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant<Body>({ framing: "none" }) },
    { weight: 2, arbitrary: fc.record({ framing: fc.constant("sized" as const), length }) },
    {
      weight: 2,
      arbitrary: fc.record({
        framing: fc.constant("chunked" as const),
        lengths: fc.array(
          length.map((each) => each + 1),
          { maxLength: 4 },
        ),
        extension: fc.constantFrom("", ";a", ";a=b", ';a="b c"'),
        trailers: fc.boolean(),
      }),
    },
  );

export function requests(
  ways: readonly Way[],
  upstreams: readonly string[],
  expects: fc.Arbitrary<boolean>,
  length = anyLength,
): fc.Arbitrary<Said> {
  return fc.record({
    kind: fc.constant("request" as const),
    method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"),
    upstream: fc.constantFrom(...upstreams),
    way: fc.constantFrom(...ways),
    body: bodies(length),
    expects,
    closes: fc.oneof(
      { weight: 9, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
    emptyLine: fc.boolean(),
  });
}

const HEAD = "POST /any/poison HTTP/1.1\r\nHost: localhost\r\n";
const POISON = [
  "\nGET /any/poison HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /any/poison HTTP/1.1\nHost: localhost\r\n\r\n",
  "GET /any/poison HTTP/1.1\r\nHost: localhost\n\n",
  "GET /any/poison HTTP/1.1\r\nHost: localhost\r\nA: b\rc\r\n\r\n",
  "GET /any/poison HTTP/1.1\r\nHost: localhost\r\nA: \0\r\n\r\n",
  "GET /any/poison HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n",
  "GET /any/poison HTTP/1.1\r\nHost : localhost\r\n\r\n",
  "GET /any/poison HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
  "GET /any/poison HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n",
  "GET  /any/poison HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /any/poison HTTP/1.1 \r\nHost: localhost\r\n\r\n",
  "GET http://other/any/poison HTTP/1.1\r\nHost: localhost\r\n\r\n",
  "GET /any/poison HTTP/1.1\r\n\r\n",
  "\r\n\r\nGET /any/poison HTTP/1.1\r\nHost: localhost\r\n\r\n",
  `${HEAD}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  `${HEAD}Content-Length: 3, 3\r\n\r\nabc`,
  `${HEAD}Content-Length: +3\r\n\r\nabc`,
  `${HEAD}Content-Length: 0x3\r\n\r\nabc`,
  `${HEAD}Content-Length:\r\n\r\nabc`,
  `${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n`,
];

export const others: fc.Arbitrary<Said> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Said>({ kind: "nowhere" }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("poison" as const), text: fc.constantFrom(...POISON) }),
  },
);

export function methodOf(said: Said): string {
  return said.kind === "request" ? said.method : "GET";
}

/** The bytes, as Latin-1, and what they come to; `id` is in the path. */
export function written(said: Said, id: string): { text: string; expected: Expected } {
  if (said.kind === "poison")
    return {
      text: said.text,
      expected: { ...NOTHING, status: null, closes: true },
    };
  if (said.kind === "nowhere")
    return {
      text: `GET /nowhere/${id} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      expected: { ...NOTHING, status: 404, closes: false },
    };
  const { method, upstream, way, closes } = said;
  const path = `/${way}/${id}`;
  const { lines, framed, content, trailers } = framing(said.body, id);
  const hasBody = framed.length > 0;
  // An interim response that has gone out leaves no second try.
  const expects = said.expects && hasBody && way !== "second-try";
  const text =
    `${said.emptyLine ? "\r\n" : ""}${method} /${upstream}${path} HTTP/1.1\r\nHost: localhost\r\n${lines}` +
    `${expects ? "Expect: 100-continue\r\n" : ""}${closes ? "Connection: close\r\n" : ""}\r\n${framed}`;
  const { status, body: answer, hints } = answerTo(way, path);
  const early = way === "early";
  const seen = early ? seenOf(method, path, "") : seenOf(method, path, content, trailers);
  const isRetried = way === "second-try" && framed.length <= KEPT_BYTES;
  const isRefused = way === "second-try" && !isRetried;
  return {
    text,
    expected: {
      status: isRefused ? 503 : status,
      body: method === "HEAD" ? "" : isRefused ? "not" : answer,
      hints,
      mayContinue: expects,
      closes: early && hasBody ? null : closes,
      seen: isRetried ? [seen, seen] : [seen],
      asked: seenOf(method, `/${upstream}${path}`, content.subarray(0, SHOWN_BYTES)),
    },
  };
}

const NOTHING = { body: null, hints: 0, mayContinue: false, seen: [], asked: null } as const;

function framing(of: Body, id: string): { lines: string; framed: string; content: Buffer; trailers: number } {
  const fill = (count: number): string => `${id}\r\n\0\xff`.repeat(Math.ceil(count / 4)).slice(0, count);
  if (of.framing === "none") return { lines: "", framed: "", content: Buffer.alloc(0), trailers: 0 };
  if (of.framing === "sized") {
    const text = fill(of.length);
    const lines = `Content-Length: ${of.length}\r\n`;
    return { lines, framed: text, content: Buffer.from(text, "latin1"), trailers: 0 };
  }
  const pieces = of.lengths.map(fill);
  const chunks = pieces.map((piece) => `${piece.length.toString(16)}${of.extension}\r\n${piece}\r\n`);
  return {
    lines: "Transfer-Encoding: chunked\r\n",
    framed: `${chunks.join("")}0\r\n${of.trailers ? "X-Sum: 1\r\n" : ""}\r\n`,
    content: Buffer.from(pieces.join(""), "latin1"),
    trailers: of.trailers ? 1 : 0,
  };
}
