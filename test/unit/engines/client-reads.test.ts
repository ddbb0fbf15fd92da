import assert from "node:assert/strict";
import { once } from "node:events";
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from "node:net";
import { type TestContext, test } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { fieldsOfOnread, readClient } from "../../../src/engines/node/client-reads.ts";
import { certificates } from "../../support/certificates.ts";

type Kind = "TLS" | "TCP";

async function pair(context: TestContext, kind: Kind): Promise<{ accepted: Socket; client: Socket }> {
  const { ca, server: identity } = await certificates();
  const server =
    kind === "TLS"
      ? createTlsServer({ cert: identity.certificate, key: identity.privateKey })
      : createTcpServer();
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const accepting = once(server, kind === "TLS" ? "secureConnection" : "connection") as Promise<[Socket]>;
  const client =
    kind === "TLS"
      ? connectTls({ host: "127.0.0.1", port, ca: ca.certificate, servername: "localhost" })
      : connectTcp({ host: "127.0.0.1", port });
  context.after(() => client.destroy());
  const [accepted] = await accepting;
  context.after(() => accepted.destroy());
  return { accepted, client };
}

for (const kind of ["TLS", "TCP"] as const) {
  test(`${kind}: what an accepted socket reads comes whole and in order, in a buffer that is not the receiver's`, async (context) => {
    const { accepted, client } = await pair(context, kind);
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
    const { accepted, client } = await pair(context, kind);
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

test("what was put back before comes first, as data events that the receiver may keep", async (context) => {
  const { accepted, client } = await pair(context, "TCP");
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
