import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { mappingYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { startRawUpstream } from "../support/upstream.ts";

// Of the embedded engine: it holds what a client has not taken yet, and what a client says before its turn.

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** A client of a gateway whose upstream answers each request with `answer`. */
async function clientOf(
  context: TestContext,
  answer: (socket: Socket) => void,
): Promise<{ client: Socket; asked: () => number }> {
  let asked = 0;
  const upstream = await startRawUpstream((socket) => {
    let rest = "";
    socket.on("data", (chunk) => {
      const heads = (rest + chunk.toString("latin1")).split("\r\n\r\n");
      rest = heads.pop() ?? "";
      for (const _ of heads) {
        asked++;
        answer(socket);
      }
    });
  });
  context.after(() => upstream.close());
  const gateway = await startGateway(
    {
      "m.yaml": mappingYaml("m", {
        prefix: "/up/",
        service: `127.0.0.1:${upstream.port}`,
        timeout_ms: 60_000,
      }),
    },
    { engine: "node" },
  );
  context.after(() => gateway.stop());
  const client = connect(gateway.httpPort, "127.0.0.1");
  context.after(() => client.destroy());
  await once(client, "connect");
  return { client, asked: () => asked };
}

const request = (path: string, lines: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`;
const count = (text: string): number => text.split("HTTP/1.1 ").length - 1;

test("requests that are answered at once, as fast as they come, wait outside", async (context) => {
  const { client } = await clientOf(context, () => {});
  const block = request("/nowhere", `X-Padding: ${"x".repeat(6500)}\r\n`).repeat(10);
  const BLOCKS = 400;
  let answers = 0;
  client.on("data", (chunk: Buffer) => {
    answers += count(chunk.toString("latin1"));
  });
  const before = heldBytes();
  let most = 0;
  for (let sent = 0; sent < BLOCKS; sent++) {
    if (!client.write(block)) await once(client, "drain");
    if (sent % 25 === 0) most = Math.max(most, heldBytes() - before);
  }
  client.end();
  await once(client, "end");
  // A head that is cut by the edge of a read is counted with either; a status line may be, too.
  assert.ok(answers >= BLOCKS * 10 - 50, `${answers} answers`);
  assert.ok(most < 8_000_000, `${most} bytes were held`);
});

test("a client that does not take its answers is not asked for more requests, until it does", async (context) => {
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: 16000\r\n\r\n${"y".repeat(16_000)}`;
  const { client, asked } = await clientOf(context, (socket) => socket.write(answer));
  client.pause();
  const block = request("/up/", `X-Padding: ${"x".repeat(900)}\r\n`).repeat(64);
  const MOST = 4096;
  let sent = 0;
  for (let moved = true; moved && sent < MOST * 16; ) {
    sent += 64;
    if (client.write(block)) continue;
    const before = asked();
    const drained = once(client, "drain").then(() => true);
    moved = await Promise.race([drained, quiet()]);
    if (!moved) moved = asked() > before;
  }
  // What the kernel holds of answers is some megabytes; what was never asked is with the client.
  assert.ok(asked() < MOST, `${asked()} answers wait for a client that takes none`);
  let answers = 0;
  for await (const chunk of client) {
    answers += count((chunk as Buffer).toString("latin1"));
    if (answers > asked() - 10 && answers > 1000) break;
  }
});

/** In buffers that are still wanted. */
function heldBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

function quiet(): Promise<boolean> {
  return new Promise((resolve) => setTimeout(resolve, 500, false));
}

test("a slow client has the whole of a response that closes its connection", async (context) => {
  const LENGTH = 24_000_000;
  let isDone = false;
  const { client } = await clientOf(context, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${LENGTH}\r\n\r\n`);
    socket.end(Buffer.alloc(LENGTH));
    socket.on("close", () => {
      isDone = true;
    });
  });
  client.write(request("/up/", "Connection: close\r\n"));
  let received = 0;
  let isHeadSeen = false;
  let waited = false;
  for await (const piece of client) {
    const chunk = piece as Buffer;
    if (!isHeadSeen) received -= chunk.indexOf("\r\n\r\n") + 4;
    isHeadSeen = true;
    received += chunk.length;
    // The gateway has all of it by then, and a part is with it.
    if (isDone && !waited) {
      waited = true;
      assert.ok(received < LENGTH - 100_000);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    } else if (!isDone) await new Promise((resolve) => setTimeout(resolve, 4));
  }
  assert.ok(waited);
  assert.equal(received, LENGTH);
});
