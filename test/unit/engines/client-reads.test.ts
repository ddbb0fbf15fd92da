import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { fieldsOfOnread, readClient } from "../../../src/engines/node/client-reads.ts";
import { acceptedSocket } from "../../support/accepted-socket.ts";

for (const kind of ["TLS", "TCP"] as const) {
  test(`${kind}: what an accepted socket reads comes whole and in order, in a buffer that is not the receiver's`, async (context) => {
    const { accepted, client } = await acceptedSocket(context, kind);
    const received: Buffer[] = [];
    let wasKept = false;
    readClient(accepted, (bytes, kept) => {
      wasKept ||= kept;
      received.push(Buffer.from(bytes));
    });
    const sent = Buffer.alloc(1_000_000, "0123456789abcdef");
    client.end(sent);
    await once(accepted, "end");
    assert.ok(Buffer.concat(received).equals(sent));
    // With the Node that the package brings; another one's bytes would come as `data` events, and be kept.
    assert.notEqual(fieldsOfOnread(), null);
    assert.equal(wasKept, false);
  });

  test(`${kind}: a paused socket reads nothing until it is resumed`, async (context) => {
    const { accepted, client } = await acceptedSocket(context, kind);
    let count = 0;
    readClient(accepted, (bytes) => {
      count += bytes.length;
    });
    accepted.pause();
    client.write(Buffer.alloc(5000));
    // A round trip the other way: what the client wrote before has had its time.
    accepted.write("x");
    await once(client, "data");
    assert.equal(count, 0);
    accepted.resume();
    client.end();
    await once(accepted, "end");
    assert.equal(count, 5000);
  });
}

for (const kind of ["TLS", "TCP"] as const) {
  test(`${kind}: a Node without the fields of onread has what is read as data events, which the receiver may keep`, async (context) => {
    const { accepted, client } = await acceptedSocket(context, kind);
    const received: Buffer[] = [];
    let wereKept = true;
    const receive = (bytes: Buffer, kept: boolean): void => {
      wereKept &&= kept;
      received.push(bytes);
    };
    readClient(accepted, receive, null);
    const sent = Buffer.alloc(1_000_000, "0123456789abcdef");
    client.end(sent);
    await once(accepted, "end");
    assert.ok(Buffer.concat(received).equals(sent));
    assert.ok(wereKept);
  });
}

test("what was put back before comes first, as data events that the receiver may keep", async (context) => {
  const { accepted, client } = await acceptedSocket(context, "TCP");
  accepted.unshift(Buffer.from("first "));
  const received: string[] = [];
  let wereKept = true;
  readClient(accepted, (bytes, kept) => {
    wereKept &&= kept;
    received.push(bytes.toString());
  });
  client.end("second");
  await once(accepted, "end");
  assert.equal(received.join(""), "first second");
  assert.ok(wereKept);
});
