import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { test } from "node:test";
import { connect } from "node:tls";
import { DEFAULT_LIMITS } from "../../../../src/engines/node/limits.ts";
import { exchange, helloBytes } from "./hello-bytes.ts";
import { connected, handshake, host, REQUIRED, type Setup, setUp } from "./listener-setup.ts";

const MIXED = [host("a.test"), host("b.test", REQUIRED)];

function failures({ listener }: Setup): Record<string, number> {
  return Object.fromEntries(listener.handshakeFailures);
}

test("a hello may come a byte at a time", async () => {
  const gateway = await setUp(MIXED);
  try {
    // Between client and gateway, every byte becomes a write of its own.
    const { createServer } = await import("node:net");
    const relay = createServer({ noDelay: true }, async (near) => {
      const far = connectTcp({ port: gateway.port, host: "127.0.0.1", noDelay: true });
      far.on("error", () => near.destroy());
      near.on("error", () => far.destroy());
      far.pipe(near);
      for await (const piece of near as AsyncIterable<Buffer>) {
        for (const byte of piece) {
          far.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      far.destroy();
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const { port } = relay.address() as { port: number };
    for (const options of [{ servername: "a.test" }, { servername: "a.test", ecdhCurve: "X25519MLKEM768" }])
      assert.equal((await handshake(port, options)).subject, "CN=a.test");
    relay.close();
  } finally {
    await gateway.close();
  }
});

test("plain text on the port is answered so, a broken hello by an alert, and neither goes further", async () => {
  const gateway = await setUp(MIXED);
  try {
    const { port } = gateway;
    assert.match(String(await exchange(port, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")), /^HTTP\/1\.1 400 /);
    const broken = Buffer.from([22, 3, 1, 0, 4, 9, 9, 9, 9]);
    assert.deepEqual([...(await exchange(port, broken))], [21, 3, 3, 0, 2, 2, 50]);
    const hello = await helloBytes({ servername: "unknown.test" });
    assert.deepEqual([...(await exchange(port, hello))], [21, 3, 3, 0, 2, 2, 112]);
    assert.deepEqual(failures(gateway), { plaintext_peer: 1, handshake_failed: 1, sni_unknown: 1 });
  } finally {
    await gateway.close();
  }
});

test("plain text where no hello is peeked at is closed", async () => {
  const gateway = await setUp([host("a.test")]);
  try {
    const answer = await exchange(gateway.port, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert.doesNotMatch(String(answer), /HTTP\/1\.1 2/);
    assert.deepEqual(failures(gateway), { plaintext_peer: 1 });
  } finally {
    await gateway.close();
  }
});

test("a hello is bounded in size: what never ends is cut off", async () => {
  const gateway = await setUp(MIXED);
  try {
    // Records of one byte each, of a hello that says 16,000.
    const records = [1, 0, 0x3e, 0x80, ...new Array<number>(4000).fill(0)].map((byte) =>
      Buffer.from([22, 3, 1, 0, 1, byte]),
    );
    const answer = await exchange(gateway.port, Buffer.concat(records));
    assert.deepEqual([...answer], [21, 3, 3, 0, 2, 2, 50]);
    assert.deepEqual(failures(gateway), { handshake_failed: 1 });
  } finally {
    await gateway.close();
  }
});

for (const hosts of [MIXED, [host("a.test")]]) {
  test(`who says nothing, or half of it, is closed in time (${hosts.length} policies)`, async () => {
    const gateway = await setUp(hosts, { handshakeTimeoutMs: 200 });
    try {
      const hello = await helloBytes({ servername: "a.test" });
      const start = performance.now();
      await Promise.all([
        exchange(gateway.port, ""),
        exchange(gateway.port, hello.subarray(0, 50)),
        // The hello whole, and nothing after it.
        exchange(gateway.port, hello),
      ]);
      assert.ok(performance.now() - start < DEFAULT_LIMITS.handshakeTimeoutMs);
      assert.deepEqual(failures(gateway), { handshake_timeout: 3 });
    } finally {
      await gateway.close();
    }
  });

  test(`clients that go away at any point hurt nobody (${hosts.length} policies)`, async () => {
    const gateway = await setUp(hosts);
    try {
      const hello = await helloBytes({ servername: "a.test" });
      for (const length of [0, 1, 5, 50, hello.length]) {
        for (const leave of ["destroy", "resetAndDestroy", "end"] as const) {
          const socket: Socket = connectTcp(gateway.port, "127.0.0.1");
          socket.on("error", () => undefined);
          socket.resume();
          await once(socket, "connect");
          if (length > 0) socket.write(hello.subarray(0, length));
          await new Promise((resolve) => setTimeout(resolve, 5));
          socket[leave]();
          if (!socket.destroyed) await once(socket, "close");
        }
      }
      assert.equal((await handshake(gateway.port, { servername: "a.test" })).echoed, true);
      assert.equal(gateway.accepted.length, 1);
    } finally {
      await gateway.close();
    }
  });
}

test("connections in a handshake count towards the limit, and only while they are open", async () => {
  const gateway = await setUp([host("a.test")], { maxConnections: 3 });
  try {
    const silent = [1, 2, 3].map(() => connectTcp(gateway.port, "127.0.0.1"));
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    assert.equal((await handshake(gateway.port, { servername: "a.test" })).echoed, false);
    for (const socket of silent) socket.destroy();
    for (let round = 0; round < 10; round++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      assert.equal((await handshake(gateway.port, { servername: "a.test" })).echoed, true, `round ${round}`);
    }
  } finally {
    await gateway.close();
  }
});

for (const hosts of [MIXED, [host("a.test")]]) {
  test(`a client may close its side and still be answered (${hosts.length} policies)`, async () => {
    const gateway = await setUp(hosts);
    try {
      const socket = await connected(gateway.port, { servername: "a.test", allowHalfOpen: true } as object);
      // As the client may be done with the handshake before the gateway is.
      socket.write("ping");
      await once(socket, "readable");
      const accepted = gateway.accepted[0]?.socket as Socket;
      accepted.removeAllListeners("end");
      socket.end();
      await once(accepted, "end");
      accepted.end("answer");
      let text = "";
      for await (const piece of socket as AsyncIterable<Buffer>) text += piece;
      assert.equal(text, "pinganswer");
    } finally {
      await gateway.close();
    }
  });
}

test("a port that is taken is an error, and closing stops accepting alone", async () => {
  const gateway = await setUp([host("a.test")]);
  try {
    const socket = connect({
      port: gateway.port,
      host: "127.0.0.1",
      servername: "a.test",
      rejectUnauthorized: false,
    });
    await once(socket, "secureConnect");
    await assert.rejects(setUp([host("a.test")], {}, gateway.port), { code: "EADDRINUSE" });
    await gateway.listener.close();
    const [error] = await once(connectTcp(gateway.port, "127.0.0.1"), "error");
    assert.equal((error as NodeJS.ErrnoException).code, "ECONNREFUSED");
    socket.write("still here");
    const [echo] = await once(socket, "data");
    assert.equal(String(echo), "still here");
    socket.destroy();
  } finally {
    await gateway.close();
  }
});
