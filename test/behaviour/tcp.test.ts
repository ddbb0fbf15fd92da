import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { freePort } from "../support/free-port.ts";
import { startGateway } from "../support/gateway.ts";
import {
  type ByteServer,
  converse,
  converseOn,
  echoing,
  eventually,
  startByteServer,
  tcpMappingYaml,
} from "../support/tcp.ts";
import { after, before, it } from "./engines.ts";

let echo: ByteServer;
before(async () => {
  echo = await startByteServer("cleartext", echoing("echo"));
});
after(() => echo.close());

type Gateway = Awaited<ReturnType<typeof startGateway>>;

async function withGateway(
  yaml: string | Record<string, string>,
  run: (gateway: Gateway) => Promise<void>,
  options: Parameters<typeof startGateway>[1] = {},
): Promise<void> {
  const gateway = await startGateway(typeof yaml === "string" ? { "tcp.yaml": yaml } : yaml, options);
  try {
    await run(gateway);
  } finally {
    await gateway.stop();
  }
}

/** A gateway with one TCPMapping before `onSocket`. */
async function beforeServer(
  onSocket: (socket: Socket) => void,
  run: (port: number, gateway: Gateway) => Promise<void>,
  spec: Record<string, unknown> = {},
): Promise<void> {
  const server = await startByteServer("cleartext", onSocket);
  const port = await freePort();
  const yaml = tcpMappingYaml("m", { port, service: `127.0.0.1:${server.port}`, ...spec });
  try {
    await withGateway(yaml, (gateway) => run(port, gateway));
  } finally {
    server.close();
  }
}

it("bytes pass both ways, the server's may come first, and each side ends by itself", async () => {
  const port = await freePort();
  await withGateway(tcpMappingYaml("m", { port, service: `127.0.0.1:${echo.port}` }), async () => {
    const { received, error } = await converse(port, ["GET / HTTP/1.1\r\n\r\n", Buffer.from([0, 255])]);
    assert.equal(received, "echo:GET / HTTP/1.1\r\n\r\n\x00\xff");
    assert.equal(error, null);
  });
});

it("a server that answers only once the client has ended is heard", () =>
  beforeServer(
    (socket) => {
      let received = "";
      socket.on("data", (chunk) => {
        received += chunk.toString();
      });
      socket.on("end", () => setTimeout(() => socket.end(`${received.length} bytes`), 50));
    },
    async (port) => {
      assert.equal((await converse(port, ["x".repeat(1000)])).received, "1000 bytes");
    },
  ));

it("a server that ends first still hears the client", () => {
  let received = "";
  return beforeServer(
    (socket) => {
      socket.end("bye");
      socket.on("data", (chunk) => {
        received += chunk.toString();
      });
    },
    async (port) => {
      const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      let farewell = "";
      for await (const chunk of client.iterator({ destroyOnReturn: false })) farewell += String(chunk);
      assert.equal(farewell, "bye");
      client.end("and this");
      await eventually(() => received === "and this", "the client's last words");
    },
  );
});

it("16 MiB go through whole both ways at once, while each side is slow", async () => {
  const payload = randomBytes(16 * 1024 * 1024);
  const digest = createHash("sha256").update(payload).digest("hex");
  let up = "";
  await beforeServer(
    (socket) => {
      const hash = createHash("sha256");
      let chunks = 0;
      socket.on("data", (chunk: Buffer) => {
        hash.update(chunk);
        if (++chunks % 16 !== 0) return;
        socket.pause();
        setTimeout(() => socket.resume(), 1);
      });
      socket.on("end", () => {
        up = hash.digest("hex");
      });
      socket.end(payload);
    },
    async (port) => {
      const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      const hash = createHash("sha256");
      let chunks = 0;
      client.on("data", (chunk: Buffer) => {
        hash.update(chunk);
        if (++chunks % 16 !== 0) return;
        client.pause();
        setTimeout(() => client.resume(), 1);
      });
      client.end(payload);
      await new Promise((resolve) => client.on("close", resolve));
      assert.equal(hash.digest("hex"), digest);
      await eventually(() => up !== "", "the server's end");
      assert.equal(up, digest);
    },
  );
});

it("whoever does not read holds the other side back instead of filling memory", async () => {
  const block = Buffer.alloc(64 * 1024);
  const flood = (socket: Socket, count: (bytes: number) => void): void => {
    const more = (): void => {
      while (socket.writable) {
        count(block.length);
        if (!socket.write(block)) return;
      }
    };
    socket.on("drain", more);
    more();
  };
  let fromServer = 0;
  await beforeServer(
    (socket) => {
      socket.pause();
      flood(socket, (bytes) => {
        fromServer += bytes;
      });
    },
    async (port) => {
      const client = connect(port, "127.0.0.1");
      client.on("error", () => {}).pause();
      let fromClient = 0;
      flood(client, (bytes) => {
        fromClient += bytes;
      });
      await new Promise((resolve) => setTimeout(resolve, 700));
      client.destroy();
      for (const bytes of [fromServer, fromClient])
        assert.ok(bytes > 0 && bytes < 64 * 1024 * 1024, `${bytes}`);
    },
  );
});

it("what is cut is reset on the other side, and never looks like an end", async (skip) => {
  await beforeServer(
    (socket) => {
      socket.write("half of");
      socket.once("data", () => socket.resetAndDestroy());
    },
    async (port, gateway) => {
      const client = await converseOn(port);
      await eventually(() => client.closed() !== null, "the end");
      assert.equal(client.closed(), "ECONNRESET");
      assert.equal((await gateway.diag()).failures[0]?.reason, "upstream_reset");
      assert.equal((await gateway.diag()).failures[0]?.route, "tcpmapping/default/m");
    },
  );
  let seen = "";
  await beforeServer(
    (socket) => {
      socket.write("go");
      socket.on("data", () => {});
      socket.on("end", () => {
        seen = "end";
      });
      socket.on("error", (error: NodeJS.ErrnoException) => {
        seen = String(error.code);
      });
    },
    async (port, gateway) => {
      const client = await converseOn(port);
      client.socket.resetAndDestroy();
      await eventually(() => seen !== "", "the end");
      assert.equal(seen, "ECONNRESET");
      const { failures } = await gateway.diag();
      assert.deepEqual(
        failures.map(({ reason }) => reason),
        skip === null ? ["client_disconnected"] : [],
      );
    },
  );
});

it("what a server said before it ended and went away is the client's, whatever the client says meanwhile", (skip) =>
  beforeServer(
    (socket) => {
      socket.end(Buffer.alloc(200_000, "word"));
      socket.on("data", () => socket.resetAndDestroy());
    },
    async (port, gateway) => {
      const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      let error: string | null = null;
      client.on("error", (found) => {
        error = found.message;
      });
      const closed = new Promise((resolve) => client.on("end", resolve).on("close", resolve));
      client.pause();
      // The gateway learns of the reset from what it sends after it.
      for (let round = 0; round < 5; round++) {
        await new Promise((resolve) => setTimeout(resolve, 60));
        client.write("!");
      }
      let bytes = 0;
      client.on("data", (chunk) => {
        bytes += chunk.length;
      });
      client.resume();
      await closed;
      if (skip !== null) {
        assert.match(String(error), /ECONNRESET|EPIPE/, "a part is never taken for the whole");
        return;
      }
      assert.equal(bytes, 200_000);
      assert.equal(error, null);
      client.destroy();
      for (let round = 0; round < 100 && (await gateway.diag()).failures.length === 0; round++);
      assert.equal((await gateway.diag()).failures[0]?.reason, "upstream_reset");
    },
  ));

it("nobody at the upstream's address: the connection is closed, and the page says why", async () => {
  const [port, nobody] = [await freePort(), await freePort()];
  await withGateway(tcpMappingYaml("m", { port, service: `127.0.0.1:${nobody}` }), async (gateway) => {
    assert.equal((await converse(port, ["hello"])).received, "");
    const [failure] = (await gateway.diag()).failures;
    assert.equal(failure?.reason, "upstream_connect_refused");
  });
});

it("weights are what they say, and a lone one takes everything", async () => {
  const servers = await Promise.all(
    ["a", "b", "c"].map((name) => startByteServer("cleartext", echoing(name))),
  );
  const [one, lone] = [await freePort(), await freePort()];
  const to = (index: number): string => `127.0.0.1:${servers[index]?.port}`;
  const yaml =
    tcpMappingYaml("a", { port: one, service: to(0), weight: 20 }) +
    tcpMappingYaml("b", { port: one, service: to(1), weight: 80 }) +
    tcpMappingYaml("never", { port: one, service: to(2), weight: 0 }) +
    tcpMappingYaml("lone", { port: lone, service: to(2), weight: 10 });
  await withGateway(yaml, async () => {
    const counts: Record<string, number> = { a: 0, b: 0 };
    for (let round = 0; round < 10; round++) {
      const answers = await Promise.all(Array.from({ length: 30 }, () => converse(one, [])));
      for (const { received } of answers) counts[received.charAt(0)] = (counts[received.charAt(0)] ?? 0) + 1;
    }
    // 300 draws at 20 %: six standard deviations are 42.
    assert.ok(Math.abs((counts.a as number) - 60) < 42, JSON.stringify(counts));
    assert.equal((counts.a as number) + (counts.b as number), 300);
    for (let round = 0; round < 10; round++) assert.equal((await converse(lone, [])).received, "c:");
  });
  for (const server of servers) server.close();
});

it("idle_timeout_ms ends a connection on which neither side speaks, and no other", (skip) =>
  beforeServer(
    echoing("e"),
    async (port, gateway) => {
      const [silent, speaking] = await Promise.all([converseOn(port), converseOn(port)]);
      let said = 0;
      while (silent.closed() === null) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        speaking.socket.write("!");
        said++;
      }
      assert.equal(silent.closed(), skip === null ? "ECONNRESET" : "");
      assert.equal(speaking.closed(), null);
      speaking.socket.end();
      await eventually(() => speaking.closed() === "", "an orderly end");
      assert.equal(speaking.received(), `e:hello${"!".repeat(said)}`);
      if (skip !== null) return;
      const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
      const route = 'route="tcpmapping/default/m"';
      assert.match(metrics, new RegExp(`credence_tcp_connections_total{${route},end="idle"} 1`));
      assert.match(metrics, new RegExp(`credence_tcp_connections_total{${route},end="completed"} 1`));
      assert.match(metrics, new RegExp(`credence_tcp_connections_open{${route}} 0`));
      const bytes = (from: string, count: number): RegExp =>
        new RegExp(`credence_tcp_bytes_total{${route},from="${from}"} ${count}`);
      assert.match(metrics, bytes("client", 10 + said));
      assert.match(metrics, bytes("upstream", 14 + said));
    },
    { idle_timeout_ms: "1000" },
  ));

it("draining waits for connections until its deadline, then cuts them", async (skip) => {
  const port = await freePort();
  const gateway = await startGateway({
    "tcp.yaml": tcpMappingYaml("m", { port, service: `127.0.0.1:${echo.port}` }),
  });
  const [long, short] = await Promise.all([converseOn(port), converseOn(port)]);
  const started = performance.now();
  const down = gateway.gateway.shutDown(600);
  setTimeout(() => short.socket.end("bye"), 100);
  await eventually(() => short.closed() === "", "an orderly end while draining");
  assert.match(short.received(), /bye$/);
  assert.equal(long.closed(), null);
  assert.equal((await converse(port, [])).error, "ECONNREFUSED", "nothing new is accepted");
  await down;
  assert.ok(performance.now() - started >= 600);
  await eventually(() => long.closed() !== null, "the cut");
  assert.equal(long.closed(), skip === null ? "ECONNRESET" : "");
  await gateway.stop();
});

it("a change of a TCPMapping is followed by new connections, and its port stays open", async () => {
  const other = await startByteServer("cleartext", echoing("other"));
  const port = await freePort();
  const yaml = (server: ByteServer): string =>
    tcpMappingYaml("m", { port, service: `127.0.0.1:${server.port}` });
  await withGateway(yaml(echo), async (gateway) => {
    const old = await converseOn(port);
    await gateway.replace("tcp.yaml", yaml(other));
    assert.equal((await converse(port, [])).received, "other:");
    old.socket.end(" again");
    await eventually(() => old.closed() === "", "the old connection's own end");
    assert.equal(old.received(), "echo:hello again");
    await gateway.replace("tcp.yaml", "");
    assert.equal((await converse(port, [])).error, "ECONNREFUSED");
  });
  other.close();
});

it("a port that somebody else has is said, everything else works, and it is opened once it is free", async () => {
  const taken = await startByteServer("cleartext", echoing("taken"));
  const port = await freePort();
  const service = `127.0.0.1:${echo.port}`;
  const yaml = tcpMappingYaml("a", { port: taken.port, service }) + tcpMappingYaml("b", { port, service });
  await withGateway(yaml, async (gateway) => {
    const codes = async (): Promise<string[]> => (await gateway.diag()).diagnostics.map(({ code }) => code);
    assert.deepEqual(await codes(), ["tcp-port-unavailable"]);
    assert.equal((await converse(port, [])).received, "echo:");
    assert.equal((await converse(taken.port, [])).received, "taken:");
    const { control } = gateway.gateway;
    const { revision } = control;
    taken.close();
    // By itself, soon.
    const isOpen = (): boolean => control.state.listeners.some((listener) => listener.port === taken.port);
    await eventually(isOpen, "the port", 20_000);
    assert.equal((await converse(taken.port, [])).received, "echo:");
    assert.deepEqual(await codes(), []);
    assert.equal(control.revision, revision);
  });
});

it("a port may go from a TCPMapping to HTTP and back", async () => {
  const port = await freePort();
  const files = {
    "tcp.yaml": tcpMappingYaml("m", { port, service: `127.0.0.1:${echo.port}` }),
    "module.yaml": "",
  };
  const asHttp = `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "Module", metadata: { name: "ambassador" }, spec: { config: { service_port: port } } })}\n`;
  const free = await freePort();
  await withGateway(
    { ...files, "module.yaml": asHttp.replace(String(port), String(free)) },
    async (gateway) => {
      assert.equal((await converse(port, [])).received, "echo:");
      await gateway.replace("module.yaml", asHttp);
      assert.equal(gateway.httpPort, port);
      assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404);
      assert.deepEqual(
        (await gateway.diag()).diagnostics.map(({ code }) => code),
        ["tcp-port-unavailable"],
      );
      await gateway.replace("module.yaml", asHttp.replace(String(port), String(free)));
      assert.equal((await converse(port, [])).received, "echo:");
    },
    { compile: { httpPort: undefined } },
  );
});
