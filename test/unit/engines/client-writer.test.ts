import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientWriter } from "../../../src/engines/node/client-writer.ts";
import { acceptedSocket } from "../../support/accepted-socket.ts";

const PIECE = 50_000;
const PIECES = 100;

for (const kind of ["TLS", "TCP"] as const) {
  test(`${kind}: bytes arrive as they were, though their buffer is overwritten at once and the client is slow`, async (context) => {
    const { accepted: socket, client } = await acceptedSocket(context, kind);

    let wake: (() => void) | null = null;
    let holds = 0;
    const writer = new ClientWriter(socket, () => wake?.());
    const shared = Buffer.alloc(PIECE);
    const send = async (): Promise<void> => {
      writer.text("begin\n");
      for (let index = 0; index < PIECES; index++) {
        const flowing = writer.bytes(shared.fill(index));
        shared.fill(0xff);
        if (flowing) continue;
        holds++;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      writer.text("end\n");
      writer.flush();
      socket.end();
    };
    const sending = send();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const received: Buffer[] = [];
    for await (const chunk of client) received.push(chunk as Buffer);
    await sending;

    const all = Buffer.concat(received);
    assert.equal(all.toString("latin1", 0, 6), "begin\n");
    assert.equal(all.toString("latin1", all.length - 4), "end\n");
    assert.equal(all.length, PIECE * PIECES + 10);
    for (let index = 0; index < PIECES; index++) {
      const piece = all.subarray(6 + index * PIECE, 6 + (index + 1) * PIECE);
      assert.ok(
        piece.every((byte) => byte === index),
        `piece ${index} holds other bytes`,
      );
    }
    assert.ok(holds > 0, "a client that does not read holds its upstream");
  });
}

test("bytes behind text that waits for a slow client follow it, though nothing else is written", async (context) => {
  const { accepted: socket, client } = await acceptedSocket(context, "TCP");
  const writer = new ClientWriter(socket, () => {});
  let length = 0;
  // Less than makes the socket ask to wait for `drain`.
  while (socket.writableLength === 0) {
    writer.text("x".repeat(10_000));
    writer.flush();
    length += 10_000;
  }
  assert.equal(socket.writableNeedDrain, false);
  await new Promise((resolve) => setImmediate(resolve));
  writer.bytes(Buffer.from("the end"));
  let last = "";
  for await (const chunk of client) {
    length -= (chunk as Buffer).length;
    last = (last + (chunk as Buffer).toString("latin1")).slice(-7);
    if (last === "the end") break;
  }
  assert.equal(length, -7);
});
