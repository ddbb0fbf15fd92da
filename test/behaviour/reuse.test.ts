import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { mappingYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers, type RawAnswer } from "../support/raw-client.ts";
import { startRawUpstream } from "../support/upstream.ts";
import { it } from "./engines.ts";

// Which connections may carry another request, on either side. Where this goes wrong, the answer or the body of one
// client becomes another's: the other half of request smuggling.

/** What reached the upstream: the connection by number, and the bytes of the request as they came. */
interface Arrival {
  readonly connection: number;
  readonly socket: Socket;
  bytes: string;
}

/** A gateway before an upstream that answers each head as `answer` says: with bytes, or by itself. */
async function behind(
  answer: (arrival: Arrival, nth: number) => string | undefined,
  run: (gateway: RunningGateway, arrivals: Arrival[]) => Promise<void>,
  mapping: Record<string, unknown> = {},
): Promise<void> {
  const arrivals: Arrival[] = [];
  let connections = 0;
  const upstream = await startRawUpstream((socket) => {
    const connection = ++connections;
    let arrival: Arrival | undefined;
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1");
      if (!/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(text)) {
        if (arrival !== undefined) arrival.bytes += text;
        return;
      }
      arrival = { connection, socket, bytes: text };
      arrivals.push(arrival);
      const bytes = answer(arrival, arrivals.length);
      if (bytes !== undefined) socket.write(bytes, "latin1");
    });
  });
  const gateway = await startGateway({
    "m.yaml": mappingYaml("m", { prefix: "/up/", service: `127.0.0.1:${upstream.port}`, ...mapping }),
  });
  try {
    await run(gateway, arrivals);
  } finally {
    await gateway.stop();
    upstream.close();
  }
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const EVIL = ok("evil");
const LARGE = "x".repeat(40_000);

async function ask(gateway: RunningGateway, bytes: string): Promise<RawAnswer | undefined> {
  return parseAnswers(await exchangeBytes(gateway.httpPort, bytes))[0];
}

const REUSED: Readonly<Record<string, string>> = {
  "a sized response": ok("first"),
  "a chunked response": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n",
  "a large response": ok(LARGE),
  "204, with a length": "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
  "304, with a length": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
  "304, chunked": "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
  "a long Keep-Alive": `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 0\r\n\r\n`,
};
const NOT_REUSED: Readonly<Record<string, string>> = {
  "a response that says close": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
  "close among other options":
    "HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 0\r\n\r\n",
  "HTTP/1.0": "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
  "a Keep-Alive that is over": "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n",
  "more than its length": ok("first") + EVIL,
  "more than its length, large": ok(LARGE) + EVIL,
  "more behind its last chunk": `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\r\n${EVIL}`,
  "a body behind 204": `HTTP/1.1 204 No Content\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}`,
  "a body behind 304": `HTTP/1.1 304 Not Modified\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}`,
};
for (const [reused, responses] of [
  [true, REUSED],
  [false, NOT_REUSED],
] as const) {
  for (const [name, response] of Object.entries(responses)) {
    it(`${name}: the upstream connection carries ${reused ? "the next request" : "no other request"}`, (skip) =>
      behind(
        (_, nth) =>
          nth === 1 || (skip !== null && nth === 2 && name.includes("204")) ? response : ok("second"),
        async (gateway, arrivals) => {
          if (skip !== null && name.includes("204")) {
            // Said twice, and refused twice.
            assert.equal((await ask(gateway, get("/up/1")))?.status, 502);
            assert.equal((await ask(gateway, get("/up/2")))?.body, "second");
            assert.deepEqual(
              arrivals.map(({ connection }) => connection),
              [1, 2, 3],
            );
            return;
          }
          const first = await ask(gateway, get("/up/1"));
          assert.equal(first?.status, Number(response.slice(9, 12)));
          assert.equal((await ask(gateway, get("/up/2")))?.body, "second");
          assert.deepEqual(
            arrivals.map(({ connection }) => connection),
            [1, reused !== (skip !== null) ? 1 : 2],
          );
        },
      ));
  }
}

it("a body behind the answer to HEAD is nobody's", () =>
  behind(
    (_, nth) => (nth === 1 ? ok(EVIL) : ok("second")),
    async (gateway, arrivals) => {
      const head = await exchangeBytes(gateway.httpPort, get("/up/1").replace("GET", "HEAD"));
      assert.doesNotMatch(head, /evil/);
      assert.equal((await ask(gateway, get("/up/2")))?.body, "second");
      assert.equal(arrivals.at(-1)?.connection, 2);
    },
  ));

it("an answer that comes too late for one request is not the answer to the next", () => {
  let late: Socket | undefined;
  return behind(
    ({ socket }, nth) => {
      if (nth === 1) late = socket;
      else {
        late?.write(ok("too late"));
        setTimeout(() => socket.write(ok("second")), 30);
      }
      return undefined;
    },
    async (gateway) => {
      assert.equal((await ask(gateway, get("/up/1")))?.status, 504);
      assert.equal((await ask(gateway, get("/up/2")))?.body, "second");
    },
    { timeout_ms: 500 },
  );
});

const hidden = "GET /up/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";
const post = (path: string, length: number): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`;

it("an answer before the end of the body: what still comes of it is no request, and both connections end", () =>
  behind(
    () => ok("early"),
    async (gateway, arrivals) => {
      const bytes = [post("/up/1", 1000), "x", hidden, hidden];
      const answers = parseAnswers(await exchangeBytes(gateway.httpPort, bytes));
      assert.deepEqual(
        answers.map(({ status, body }) => [status, body]),
        [[200, "early"]],
      );
      assert.match(answers[0]?.head ?? "", /connection: close/);
      assert.equal((await ask(gateway, get("/up/2")))?.body, "early");
      assert.deepEqual(
        arrivals.map(({ connection, bytes: [method] }) => [connection, method]),
        [
          [1, "P"],
          [2, "G"],
        ],
      );
    },
  ));

for (const [way, cut] of [
  ["at once", (head: string, body: string) => [head + body]],
  ["later", (head: string, body: string) => [head, body, body]],
] as const) {
  it(`a request refused before its body, which comes ${way}: the body is no request`, () =>
    behind(
      () => ok("never"),
      async (gateway, arrivals) => {
        const answers = parseAnswers(
          await exchangeBytes(gateway.httpPort, cut(post("/elsewhere", hidden.length * 2), hidden)),
        );
        assert.deepEqual(
          answers.map(({ status }) => status),
          [404],
        );
        assert.match(answers[0]?.head ?? "", /connection: close/);
        assert.deepEqual(arrivals, []);
      },
    ));
}

it("a request without a body that is refused leaves the connection to the next one", () =>
  behind(
    () => ok("answer"),
    async (gateway) => {
      const bytes = `GET /elsewhere HTTP/1.1\r\nHost: localhost\r\n\r\n${get("/up/1")}`;
      const answers = parseAnswers(await exchangeBytes(gateway.httpPort, bytes));
      assert.deepEqual(
        answers.map(({ status }) => status),
        [404, 200],
      );
    },
  ));

it("a malformed chunk in the middle of a body: nothing behind it is a request, and the upstream connection ends", () =>
  behind(
    (_, nth) => (nth === 1 ? undefined : ok("second")),
    async (gateway, arrivals) => {
      const head = "POST /up/1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
      const received = await exchangeBytes(gateway.httpPort, [head, "zz\r\n", hidden]);
      assert.deepEqual(
        parseAnswers(received).map(({ status }) => status),
        [400],
      );
      assert.equal((await ask(gateway, get("/up/2")))?.body, "second");
      assert.deepEqual(
        arrivals.map(({ connection }) => connection),
        [1, 2],
      );
    },
  ));

it("behind a request that could not be read nothing is read any more", (skip) =>
  behind(
    () => ok("never"),
    async (gateway, arrivals) => {
      const bytes = [`GET /up/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${hidden}`, hidden];
      const expected = skip === null ? [400] : [400, 200, 200];
      const isEnough = (text: string): boolean =>
        skip !== null && parseAnswers(text).length === expected.length;
      const answers = parseAnswers(await exchangeBytes(gateway.httpPort, bytes, { isEnough }));
      assert.deepEqual(
        answers.map(({ status }) => status),
        expected,
      );
      assert.equal(arrivals.length, skip === null ? 0 : 2);
    },
  ));

it("what is hop-by-hop in a response ends here, and so does the upstream's name", (skip) =>
  behind(
    () =>
      "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nProxy-Connection: keep-alive\r\n" +
      "Upgrade: h2c\r\nServer: secret/1.2\r\nX-Kept: yes\r\nContent-Length: 0\r\n\r\n",
    async (gateway) => {
      const head = (await ask(gateway, get("/up/")))?.head.toLowerCase() ?? "";
      assert.match(head, /\r\nx-kept: yes/);
      assert.match(head, /\r\nserver: credence/);
      assert.doesNotMatch(head, /keep-alive|proxy-connection|upgrade|secret/);
      assert.equal(/x-hop/.test(head), skip !== null);
    },
  ));

it("a client that says close is told so", () =>
  behind(
    () => ok("answer"),
    async (gateway) => assert.match((await ask(gateway, get("/up/")))?.head ?? "", /connection: close/),
  ));

const request = (method: string, fields = "", body = ""): string =>
  `${method} /up/2 HTTP/1.1\r\nHost: localhost\r\n${fields}Connection: close\r\n\r\n${body}`;

/** Whether a request that meets the end of a pooled connection is said again, once, on a new one. */
const RETRIED: readonly (readonly [name: string, bytes: string, said: number])[] = [
  ...["GET", "HEAD", "OPTIONS", "DELETE", "PUT", "TRACE"].map(
    (method) => [method, request(method), 2] as const,
  ),
  ["POST", request("POST", "Content-Length: 0\r\n"), 1],
  ["PATCH", request("PATCH"), 1],
  ["PUT with a body", request("PUT", "Content-Length: 2\r\n", "ab"), 1],
  ["PUT before its body", request("PUT", "Content-Length: 9\r\n"), 1],
  ["PUT with half a body", request("PUT", "Content-Length: 9\r\n", "ab"), 1],
  ["PUT with an empty chunked body", request("PUT", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 1],
];
for (const [name, bytes, said] of RETRIED) {
  it(`a pooled connection ends as ${name} is written: said ${said === 1 ? "once, 503" : "twice, and no more"}`, (skip) =>
    behind(
      ({ socket }, nth) => {
        if (nth === 1) return ok("first");
        socket.destroy();
        return undefined;
      },
      async (gateway, arrivals) => {
        assert.equal((await ask(gateway, get("/up/1")))?.body, "first");
        assert.equal((await ask(gateway, bytes))?.status, 503);
        assert.deepEqual(
          arrivals.map(({ connection }) => connection),
          [1, 1, 2].slice(0, 1 + (skip === null ? said : 1)),
        );
      },
    ));
}

it("a new connection that ends is not tried again: nobody knows what was done with the request", (skip) =>
  behind(
    ({ socket }) => {
      socket.destroy();
      return undefined;
    },
    async (gateway, arrivals) => {
      const post = get("/up/1").replace("GET", "POST");
      assert.equal((await ask(gateway, post))?.status, 503);
      assert.equal(arrivals.length, 1);
      assert.equal((await ask(gateway, get("/up/1")))?.status, 503);
      assert.equal(arrivals.length, skip === null ? 2 : 3);
    },
  ));

it("a pooled connection that ends within the answer: the request is not said again", (skip) =>
  behind(
    ({ socket }, nth) => {
      if (nth === 1) return ok("first");
      socket.end("HTTP/1.1 2");
      return undefined;
    },
    async (gateway, arrivals) => {
      assert.equal((await ask(gateway, get("/up/1")))?.body, "first");
      assert.equal((await ask(gateway, get("/up/2")))?.status, skip === null ? 503 : 502);
      assert.equal(arrivals.length, skip === null ? 2 : 3);
    },
  ));

it("when all pooled connections are stale, a request needs one retry and no luck", (skip) => {
  const waiting: (() => void)[] = [];
  return behind(
    ({ socket, connection }, nth) => {
      if (nth > 4) {
        if (connection > 4) return ok("fresh");
        socket.destroy();
        return undefined;
      }
      // Answered together, so that four connections are idle then.
      waiting.push(() => socket.write(ok("first")));
      if (nth === 4) for (const answer of waiting) answer();
      return undefined;
    },
    async (gateway) => {
      await Promise.all([1, 2, 3, 4].map(() => ask(gateway, get("/up/1"))));
      const answer = await ask(gateway, get("/up/2"));
      if (skip === null) assert.equal(answer?.body, "fresh");
      else assert.equal(answer?.status, 503);
    },
  );
});

it("a response head that comes in pieces is made of its own bytes, whatever else is read meanwhile", () => {
  let finish = (): void => {};
  return behind(
    ({ socket, bytes }) => {
      if (!bytes.startsWith("GET /1 "))
        return `HTTP/1.1 200 OK\r\nX-Who: other\r\nContent-Length: 40000\r\n\r\n${LARGE}`;
      finish = () => socket.write("Content-Length: 3\r\n\r\none");
      return "HTTP/1.1 200 OK\r\nX-Who: one\r\n";
    },
    async (gateway) => {
      const first = ask(gateway, get("/up/1"));
      for (let turn = 0; turn < 3; turn++)
        assert.match((await ask(gateway, get("/up/2")))?.head ?? "", /X-Who: other/);
      finish();
      const answer = await first;
      assert.match(answer?.head ?? "", /^HTTP\/1\.1 200 OK\r\nX-Who: one\r\n/);
      assert.equal(answer?.body, "one");
    },
  );
});

it("a response that ends with its connection is not completed when that is reset", (skip) =>
  behind(
    ({ socket }) => {
      setTimeout(() => socket.resetAndDestroy(), 100);
      return "HTTP/1.1 200 OK\r\n\r\nhalf of it";
    },
    async (gateway) => {
      const received = await exchangeBytes(gateway.httpPort, get("/up/"));
      assert.match(received, /half of it/);
      assert.equal(/\r\n0\r\n\r\n$/.test(received), skip !== null);
    },
  ));

it("a client that ends in the middle of its body is known to have, and the upstream connection ends", () =>
  behind(
    ({ bytes }) => (bytes.startsWith("POST") ? undefined : ok("second")),
    async (gateway, arrivals) => {
      await new Promise<void>((resolve) => {
        const client = connect(gateway.httpPort, "127.0.0.1");
        client.on("error", () => {}).on("close", () => resolve());
        client.resume().end(`${post("/up/1", 10)}ab`);
      });
      assert.equal((await gateway.diag()).failures[0]?.reason, "client_disconnected");
      assert.equal((await ask(gateway, get("/up/2")))?.body, "second");
      const used = arrivals
        .filter(({ bytes }) => bytes.startsWith("POST"))
        .map(({ connection }) => connection);
      assert.ok(!used.includes(arrivals.at(-1)?.connection ?? 0));
    },
  ));

it("a refusal reaches a client that goes on sending", (skip) =>
  behind(
    () => ok("never"),
    async (gateway) => {
      const bytes = ["GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", ...Array(20).fill(LARGE)];
      const answers = parseAnswers(await exchangeBytes(gateway.httpPort, bytes));
      assert.deepEqual(
        answers.map(({ status }) => status),
        skip === null ? [400] : [400, 431],
      );
    },
  ));
