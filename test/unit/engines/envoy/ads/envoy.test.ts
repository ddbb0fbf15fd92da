import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { request } from "node:http";
import { type TestContext, test } from "node:test";
import type { AdsClient } from "../../../../../src/engines/envoy/ads/client.ts";
import { type AdsServer, createAdsServer } from "../../../../../src/engines/envoy/ads/server.ts";
import type { Snapshot } from "../../../../../src/engines/envoy/ads/snapshot.ts";
import { bootstrapOf } from "../../../../../src/engines/envoy/process/bootstrap.ts";
import { findEnvoy } from "../../../../../src/engines/envoy/process/find.ts";
import { createRunDirectory } from "../../../../../src/engines/envoy/process/run-directory.ts";
import { type EnvoyState, EnvoySupervisor } from "../../../../../src/engines/envoy/process/supervisor.ts";
import { systemClock } from "../../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";
import { freePort } from "../../../../support/free-port.ts";
import { type World, worldOf } from "../../../../support/xds-world.ts";

interface Bench {
  readonly port: number;
  ads: AdsServer;
  publish(world: World): void;
  /** Resolves when the Envoy has the last publication. */
  caughtUp(): Promise<AdsClient>;
  /** A new server in the place of the old one, with the same snapshot. */
  restart(): Promise<void>;
  get(host: string, path: string, method?: string): Promise<string>;
  process(): EnvoyState;
}

async function start(
  t: TestContext,
  protocol: "DELTA_GRPC" | "GRPC" = "DELTA_GRPC",
  transport: { readonly keepaliveMs?: number } = {},
): Promise<Bench> {
  const directory = createRunDirectory();
  const options = {
    clock: systemClock,
    logger: createLogger("silent"),
    authorize: () => ({ group: "all", identity: "local" }),
  };
  const ads = createAdsServer(options);
  await ads.listen({ path: directory.xdsSocket, ...transport });
  const bootstrap = bootstrapOf({
    nodeId: "one",
    nodeCluster: "test",
    xds: { socket: directory.xdsSocket },
    admin: { socket: directory.adminSocket },
  });
  const supervisor = new EnvoySupervisor({
    drainSeconds: 1,
    path: (await findEnvoy({ environment: process.env })).path,
    bootstrap: JSON.parse(JSON.stringify(bootstrap).replace('"DELTA_GRPC"', JSON.stringify(protocol))),
    directory,
    concurrency: 1,
    logger: createLogger(process.env.SHOW_ENVOY ?? "silent"),
    clock: systemClock,
  });
  let snapshot: Snapshot | undefined;
  let number = 0;
  const bench: Bench = {
    port: await freePort(),
    ads,
    publish(world) {
      snapshot = worldOf(world, snapshot);
      bench.ads.publish("all", snapshot, String(++number));
    },
    async caughtUp() {
      const client = (): AdsClient | undefined =>
        bench.ads.clients.find(({ revision, isSettled }) => isSettled && revision === String(number));
      await until(
        () => client() !== undefined,
        () => JSON.stringify(bench.ads.clients),
      );
      return client() as AdsClient;
    },
    async restart() {
      await bench.ads.close();
      bench.ads = createAdsServer(options);
      if (snapshot !== undefined) bench.ads.publish("all", snapshot, String(number));
      await bench.ads.listen({ path: directory.xdsSocket, ...transport });
    },
    process: () => supervisor.state,
    get: (host, path, method) => fetchFrom(bench.port, host, path, method),
  };
  supervisor.start();
  t.after(async () => {
    await supervisor.stop();
    await bench.ads.close();
    directory.remove();
  });
  return bench;
}

async function until(isSo: () => boolean | Promise<boolean>, what: () => string): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Status and body; `closed` while nobody listens. */
async function fetchFrom(port: number, host: string, path: string, method = "GET"): Promise<string> {
  return new Promise((resolve) => {
    const sent = request(
      { host: "127.0.0.1", port, path, method, headers: { host }, agent: false },
      (response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += String(chunk);
        });
        response.on("end", () => resolve(`${response.statusCode} ${body}`.trim()));
      },
    );
    sent.on("error", () => resolve("closed"));
    sent.end();
  });
}

test("Envoy serves what is published, and follows changes of single hosts", async (t) => {
  const bench = await start(t);
  const listeners = { http: bench.port };
  const world: World = {
    listeners,
    hosts: { http: { "a.example": [["/", "=a1"]], "b.example": [["/", "=b1"]] } },
  };
  bench.publish(world);
  await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/")) === "200 a1",
    () => "a1",
  );
  assert.equal(await bench.get("b.example", "/"), "200 b1");
  bench.publish({ listeners, hosts: { http: { "a.example": [["/", "=a2"]], "c.example": [["/", "=c1"]] } } });
  await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/")) === "200 a2",
    () => "a2",
  );
  assert.equal(await bench.get("b.example", "/"), "404");
  assert.equal(await bench.get("c.example", "/"), "200 c1");
});

test("one bad route is found, is reported by name, and everything else is served", async (t) => {
  const bench = await start(t);
  const listeners = { http: bench.port };
  const routes = Array.from({ length: 40 }, (_, i) => [`/${i}/`, `=${i}`] as const);
  bench.publish({
    listeners,
    hosts: {
      http: {
        "a.example": [...routes.slice(0, 17), ["/bad/", "!((("], ...routes.slice(17)],
        "b.example": [["/", "=b1"]],
      },
    },
  });
  const client = await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/3/")) === "200 3",
    () => "route 3",
  );
  assert.equal(await bench.get("a.example", "/33/"), "200 33");
  assert.equal(await bench.get("b.example", "/"), "200 b1");
  assert.equal(await bench.get("nack-probe.invalid", "/3/"), "404");
  assert.deepEqual(
    client.nacks.map(({ kind, name, from, instead }) => [kind, name, from, instead]),
    [["virtual-host", "http/a.example", ["mapping/default/a.example/bad/"], "closed"]],
  );
  assert.match(client.nacks[0]?.detail ?? "", /missing \)/);
  assert.equal(await bench.get("a.example", "/bad/x"), "503");
});

test("a route whose conditions are refused closes all that it may have taken, and never leaves it to a shorter prefix", async (t) => {
  const bench = await start(t);
  bench.publish({
    listeners: { http: bench.port },
    hosts: {
      http: {
        "a.example": [
          ["/shop/admin/ x-who~((( :method~GET", "=admin"],
          ["/shop/admin/ :method~HEAD", "=behind"],
          ["/shop/first/ x-who~(((", "=closed"],
          ["/shop/", "=shop"],
        ],
      },
    },
  });
  const client = await bench.caughtUp();
  assert.deepEqual(
    client.nacks.map(({ from, instead }) => [from, instead]),
    [
      [["mapping/default/a.example/shop/admin/ x-who~((( :method~GET"], "closed-wider"],
      [["mapping/default/a.example/shop/first/ x-who~((("], "closed-wider"],
    ],
  );
  await until(
    async () => (await bench.get("a.example", "/shop/")) === "200 shop",
    () => "shop",
  );
  assert.equal(await bench.get("a.example", "/shop/admin/x"), "503");
  assert.equal(
    await bench.get("a.example", "/shop/admin/x", "HEAD"),
    "200",
    "the condition that is understood",
  );
  assert.equal(await bench.get("a.example", "/shop/first/x"), "503");
});

test("a host with a route whose path is refused keeps its last good version, or answers 503; others go on", async (t) => {
  const bench = await start(t);
  const listeners = { http: bench.port };
  const bad = [
    ["~(((", "=bad"],
    ["/", "=a2"],
  ] as const;
  bench.publish({ listeners, hosts: { http: { "a.example": [["/", "=a1"]], "*": [["/", "=any"]] } } });
  await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/")) === "200 a1",
    () => "a1",
  );
  for (const turn of ["b1", "b2"]) {
    const hosts: World["hosts"] = {
      http: { "a.example": bad, "b.example": [...bad, ["/x", `=${turn}`]], "*": [["/", "=any"]] },
    };
    bench.publish({ listeners, hosts });
    const client = await bench.caughtUp();
    assert.equal(await bench.get("a.example", "/"), "200 a1");
    assert.equal(await bench.get("b.example", "/"), "503", "nor does it fall to the host for any name");
    assert.equal(await bench.get("c.example", "/"), "200 any");
    assert.deepEqual(
      client.nacks.map(({ from, instead }) => [from, instead]),
      [
        [["mapping/default/a.example~((("], "last-good"],
        [["mapping/default/b.example~((("], "host-closed"],
      ],
    );
  }
  bench.publish({ listeners, hosts: { http: { "a.example": [["/", "=a3"]], "b.example": [["/", "=b3"]] } } });
  const client = await bench.caughtUp();
  assert.equal(await bench.get("a.example", "/"), "200 a3");
  assert.equal(await bench.get("b.example", "/"), "200 b3");
  assert.deepEqual(client.nacks, []);
});

test("after a restart of the control plane, nothing is sent that Envoy has", async (t) => {
  const bench = await start(t);
  const listeners = { http: bench.port };
  const world: World = {
    listeners,
    clusters: { c: 1 },
    hosts: {
      http: {
        "a.example": [
          ["/", "=a1"],
          ["/c", "c"],
        ],
      },
    },
  };
  bench.publish(world);
  await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/")) === "200 a1",
    () => "a1",
  );
  await bench.restart();
  const client = await bench.caughtUp();
  assert.equal(client.sent.resources, 0);
  assert.equal(await bench.get("a.example", "/"), "200 a1");
  bench.publish({ ...world, hosts: { http: { "a.example": [["/", "=a2"]] } } });
  await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/")) === "200 a2",
    () => "a2",
  );
});

test("a host that moves to a new cluster loses no request, and the old cluster goes", async (t) => {
  const bench = await start(t);
  const listeners = { http: bench.port };
  const upstreams = await Promise.all(["one", "two"].map((name) => upstream(t, name)));
  const world = (use: "one" | "two"): World => ({
    listeners,
    clusters: { [use]: upstreams[use === "one" ? 0 : 1] as number },
    hosts: { http: { "a.example": [["/", use]] } },
  });
  bench.publish(world("one"));
  await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/")) === "200 one",
    () => "one",
  );
  const answers = new Set<string>();
  let isOver = false;
  const asking = (async () => {
    while (!isOver) answers.add(await bench.get("a.example", "/"));
  })();
  for (let turn = 0; turn < 10; turn++) {
    bench.publish(world(turn % 2 === 0 ? "two" : "one"));
    const client = await bench.caughtUp();
    assert.deepEqual(
      [...(client.kinds.cluster?.acknowledged.keys() ?? [])],
      [turn % 2 === 0 ? "two" : "one"],
    );
  }
  isOver = true;
  await asking;
  assert.deepEqual([...answers].sort(), ["200 one", "200 two"]);
});

test("a port that is taken is said, and tried again where that is asked for", async (t) => {
  const bench = await start(t);
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const world: World = {
    listeners: { http: bench.port, taken: (taken.address() as AddressInfo).port },
    hosts: { http: { "*": [["/", "=ok"]] }, taken: { "*": [["/", "=late"]] } },
  };
  bench.publish(world);
  const client = await bench.caughtUp();
  assert.deepEqual(
    client.nacks.map(({ kind, name }) => [kind, name]),
    [["listener", "taken"]],
  );
  await until(
    async () => (await bench.get("a.example", "/")) === "200 ok",
    () => "ok",
  );
  const { port } = taken.address() as AddressInfo;
  taken.close();
  await once(taken, "close");
  bench.ads.retryPorts("all");
  bench.publish(world);
  await bench.caughtUp();
  await until(
    async () => (await fetchFrom(port, "x", "/")) === "200 late",
    () => "late",
  );
});

test("a listener added later gets its routes, and one without any virtual host opens too", async (t) => {
  const bench = await start(t);
  const bare = await freePort();
  const world: World = {
    listeners: { http: bench.port, bare },
    hosts: { http: { "*": [["/", "=ok"]] }, bare: {} },
  };
  const started = Date.now();
  bench.publish(world);
  await bench.caughtUp();
  await until(
    async () => (await fetchFrom(bare, "x", "/")) === "404",
    () => "bare",
  );
  const [second, third] = [await freePort(), await freePort()];
  bench.publish({
    listeners: { ...world.listeners, second, third },
    hosts: { ...world.hosts, second: { "*": [["/", "=second"]] }, third: {} },
  });
  await bench.caughtUp();
  await until(
    async () => (await fetchFrom(second, "x", "/")) === "200 second",
    () => "second",
  );
  await until(
    async () => (await fetchFrom(third, "x", "/")) === "404",
    () => "third",
  );
  // Envoy gives up waiting after 15 s, and opens the listener then.
  assert.ok(Date.now() - started < 14_000);
});

test("a route whose match is understood and whose rest is not answers 503, and nothing else gets its requests", async (t) => {
  const bench = await start(t);
  bench.publish({
    listeners: { http: bench.port },
    hosts: {
      http: {
        "a.example": [
          ["/bad/", "!((("],
          ["/", "=a"],
        ],
      },
    },
  });
  const client = await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/")) === "200 a",
    () => "a",
  );
  assert.equal(await bench.get("a.example", "/bad/x"), "503");
  assert.deepEqual(
    client.nacks.map(({ from }) => from),
    [["mapping/default/a.example/bad/"]],
  );
});

test("an Envoy of the state-of-the-world protocol is served the same", async (t) => {
  const bench = await start(t, "GRPC");
  const world: World = { listeners: { http: bench.port }, hosts: { http: { "a.example": [["/", "=a1"]] } } };
  bench.publish(world);
  const client = await bench.caughtUp();
  assert.equal(client.protocol, "state-of-the-world");
  await until(
    async () => (await bench.get("a.example", "/")) === "200 a1",
    () => "a1",
  );
  bench.publish({ ...world, hosts: { http: { "b.example": [["/", "=b"]] } } });
  await bench.caughtUp();
  await until(
    async () => (await bench.get("b.example", "/")) === "200 b",
    () => "b",
  );
  assert.equal(await bench.get("a.example", "/"), "404");
  await bench.restart();
  assert.equal((await bench.caughtUp()).sent.resources, 0);
});

async function upstream(t: TestContext, name: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () =>
      socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${name.length}\r\n\r\n${name}`),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

test("a member of the fleet that is frozen is gone until it answers again", async (t) => {
  const bench = await start(t, "DELTA_GRPC", { keepaliveMs: 1_000 });
  const world = (answer: string): World => ({
    listeners: { http: bench.port },
    hosts: { http: { "a.example": [["/", answer]] } },
  });
  bench.publish(world("=before"));
  await bench.caughtUp();
  const { pid } = bench.process();
  await until(
    () => {
      // Again and again: whoever freezes and thaws all that runs here must not thaw this one.
      process.kill(pid as number, "SIGSTOP");
      return bench.ads.clients.length === 0;
    },
    () => "the end of its stream",
  );
  bench.publish(world("=after"));
  process.kill(pid as number, "SIGCONT");
  await bench.caughtUp();
  await until(
    async () => (await bench.get("a.example", "/")) === "200 after",
    () => "what was published meanwhile",
  );
  assert.equal(bench.process().starts, 1);
});
