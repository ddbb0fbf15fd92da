import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import fc from "../support/fast-check.ts";
import { mappingYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startRawUpstream } from "../support/upstream.ts";
import { cut, cuts, mutate, mutations } from "./cuts.ts";
import { readAll, talk } from "./pipeline-client.ts";

// Of the embedded engine: an upstream that says anything, cut anywhere. Its client has the whole of a response, or learns
// that it has not; how the bytes are cut decides neither; and nobody else gets what is left over.

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 60) * 4;
let gateway: RunningGateway;
let upstream: { port: number; close(): void };
/** What is said to who asks for `/says`, and whether the connection ends then. */
let pieces: readonly Buffer[] = [];
let ends = true;
/** All of it has been said, or its connection is over. */
let said: Promise<void> = Promise.resolve();

before(async () => {
  upstream = await startRawUpstream((socket) => {
    socket.setNoDelay(true);
    let rest = "";
    socket.on("data", (chunk: Buffer) => {
      const heads = (rest + chunk.toString("latin1")).split("\r\n\r\n");
      rest = heads.pop() ?? "";
      for (const head of heads) {
        if (/^[A-Z]+ \/says /.test(head)) said = sayAll(socket);
        else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
      }
    });
  });
  gateway = await startGateway(
    { "m.yaml": mappingYaml("m", { prefix: "/up/", service: `127.0.0.1:${upstream.port}` }) },
    { engine: "node" },
  );
});

after(async () => {
  await gateway.stop();
  upstream.close();
});

async function sayAll(socket: Socket): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (!ends || socket.destroyed) return;
  socket.end();
  await once(socket, "close");
}

async function ask(method: string, path: string): Promise<string> {
  const bytes = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const text = await talk(gateway.httpPort, [bytes], null);
  try {
    const answers = readAll(text, [method]);
    assert.equal(answers.length, 1, text);
    const [{ status, body }] = answers as [ReturnType<typeof readAll>[number]];
    return status >= 500 ? "refused" : `${status} ${body}`;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return "refused";
  }
}

const RESPONSES = [
  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nX-Long: 1234567890\r\nContent-Length: 0\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nyou\r\n0\r\n\r\n",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
  "HTTP/1.1 200 OK\r\n\r\nhello, until the end",
  "HTTP/1.0 200 OK\r\n\r\nhello",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
  `HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n${"0123456789".repeat(300)}`,
];
const SCRAPS = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  ":",
  "0",
  "9",
  "\r\n ",
  "0\r\n\r\n",
  "Content-Length: 7\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Connection: close\r\n",
  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
  "HTTP/1.1 100 Continue\r\n\r\n",
];

test("a response comes to the same however it is cut, and what is left over is nobody's", async () => {
  let whole = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "HEAD", "DELETE"),
      fc.constantFrom(...RESPONSES),
      fc.array(mutations(SCRAPS), { maxLength: 2 }),
      cuts,
      async (method, response, changes, where) => {
        const text = mutate(response, changes);
        const outcome = async (parts: Buffer[]): Promise<string> => {
          pieces = parts;
          const answer = await ask(method, "/up/says");
          await said;
          assert.equal(await ask("GET", "/up/good"), "200 good", JSON.stringify(text));
          return answer;
        };
        const first = await outcome([Buffer.from(text, "latin1")]);
        assert.equal(await outcome(cut(text, where)), first, JSON.stringify(text));
        if (first === "refused") refused++;
        else whole++;
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(whole > RUNS / 5 && refused > RUNS / 20, `${whole} whole, ${refused} refused: too few`);
});

test("what comes behind a response, however it is cut, is nobody's", async () => {
  const framed = RESPONSES.filter((each) => !each.includes("the end") && !each.startsWith("HTTP/1.0"));
  ends = false;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...framed),
      fc.array(fc.constantFrom(...SCRAPS), { minLength: 1, maxLength: 4 }),
      cuts,
      async (response, more, where) => {
        const text = response + more.join("");
        pieces = cut(text, where);
        assert.match(await ask("GET", "/up/says"), /^(?:200|204|304) /, JSON.stringify(text));
        await said;
        assert.equal(await ask("GET", "/up/good"), "200 good", JSON.stringify(text));
      },
    ),
    { numRuns: RUNS },
  );
});
