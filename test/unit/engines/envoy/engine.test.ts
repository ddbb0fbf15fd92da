import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type AdsServer, createAdsServer } from "../../../../src/engines/envoy/ads/server.ts";
import { createEnvoyEngine, type EnvoyEngine } from "../../../../src/engines/envoy/engine.ts";
import { createRunDirectory } from "../../../../src/engines/envoy/process/run-directory.ts";
import type {
  Credential,
  CredentialChange,
  CredentialReader,
} from "../../../../src/credentials/credential.ts";
import type { GatewayModel, Revision } from "../../../../src/model/gateway.ts";
import { systemClock } from "../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { DeltaClient, type DeltaClientOptions } from "../../../support/delta-client.ts";

/** A store with one credential, `secret/default/client`, that can be rotated. */
function store(): CredentialReader & { rotate(): void } {
  let generation = 1;
  const listeners = new Set<(change: CredentialChange) => void>();
  return {
    credential: (name): Credential => ({
      name,
      generation,
      certificateChain: `chain ${generation}`,
      privateKey: `key ${generation}`,
      facts: [],
      notAfter: Number.MAX_SAFE_INTEGER,
    }),
    trust: () => undefined,
    crl: () => undefined,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    rotate() {
      generation++;
      for (const listener of listeners)
        listener({ name: "secret/default/client", kind: "credential", event: "rotated", generation });
    },
  };
}

const PARAMETERS = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
} as const;

function revision(number: number, port = 8080): Revision {
  const service = { host: "127.0.0.1", port: 9000 };
  const model: GatewayModel = {
    http: {} as GatewayModel["http"],
    listeners: [{ name: "http", address: "127.0.0.1", port, transport: "cleartext", action: "serve" }],
    virtualHosts: [],
    routes: [],
    clusters: [
      {
        name: "mutual",
        service,
        connectTimeoutMs: 3000,
        tls: {
          mode: "originate",
          credential: "secret/default/client",
          verification: { mode: "none" },
          parameters: PARAMETERS,
        },
      },
      { name: "plain", service, connectTimeoutMs: 3000, tls: { mode: "cleartext" } },
    ],
  };
  return { number, hash: String(number), model };
}

async function start(t: TestContext): Promise<{
  ads: AdsServer;
  engine: EnvoyEngine;
  credentials: ReturnType<typeof store>;
  connect(options?: Partial<DeltaClientOptions>): DeltaClient;
}> {
  const directory = createRunDirectory();
  const [logger, clock, credentials] = [createLogger("silent"), systemClock, store()];
  const ads = createAdsServer({ clock, logger, authorize: () => ({ group: "all", identity: "test" }) });
  await ads.listen({ path: directory.xdsSocket });
  const engine = createEnvoyEngine({ ads, group: "all", credentials, logger, clock, waitForClientsMs: 5000 });
  const clients: DeltaClient[] = [];
  t.after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await engine.stop();
    await ads.close();
    directory.remove();
  });
  return {
    ads,
    engine,
    credentials,
    connect(options) {
      const client = new DeltaClient({ path: directory.xdsSocket, node: "one", ...options });
      clients.push(client);
      client.subscribeAll("cluster");
      client.subscribeAll("listener");
      client.subscribe("secret", ["credential:secret/default/client"]);
      client.subscribe("route-configuration", ["http"]);
      client.subscribeAll("virtual-host");
      return client;
    },
  };
}

test("a revision without clients is accepted at once, and a client that comes later gets it", async (t) => {
  const { engine, connect } = await start(t);
  const report = await engine.apply(revision(1));
  assert.deepEqual(report, {
    revision: 1,
    accepted: true,
    listeners: [{ name: "http", address: "127.0.0.1", port: 8080 }],
    problems: [],
  });
  const client = connect();
  await client.until(() => engine.fleet[0]?.revision === "1");
  assert.deepEqual([...client.held.cluster.keys()], ["mutual", "plain"]);
});

test("a listener that may have any port has one, and keeps it", async (t) => {
  const { engine } = await start(t);
  const [first, second] = [await engine.apply(revision(1, 0)), await engine.apply(revision(2, 0))];
  assert.ok((first.listeners[0]?.port ?? 0) > 0);
  assert.deepEqual(first.listeners, second.listeners);
});

test("apply waits for the clients that are connected", async (t) => {
  const { engine, connect } = await start(t);
  const client = connect();
  await client.until(() => engine.fleet.length === 1);
  const report = await engine.apply(revision(1));
  assert.equal(report.accepted, true);
  assert.equal(engine.fleet[0]?.revision, "1");
  assert.equal(client.held.listener.size, 1);
});

test("a client that does not answer holds up no revision that follows", async (t) => {
  const { engine, connect } = await start(t);
  const client = connect({ answers: false });
  await client.until(() => engine.fleet.length === 1);
  const overtaken = new AbortController();
  const first = engine.apply(revision(1), overtaken.signal);
  await client.until(() => client.responses.length > 0);
  const resolved = await Promise.race([first, new Promise((resolve) => setImmediate(resolve, "waits"))]);
  assert.equal(resolved, "waits");
  overtaken.abort();
  assert.equal((await first).accepted, true);
  assert.equal(engine.fleet[0]?.isSettled, false);
  assert.equal((await engine.apply(revision(2), AbortSignal.abort())).revision, 2);
});

test("a rotation sends that secret and the clusters that use it, without a new revision", async (t) => {
  const { engine, connect, credentials } = await start(t);
  await engine.apply(revision(1));
  const client = connect();
  await client.until(() => engine.fleet[0]?.isSettled === true && client.seen.length > 0);
  client.seen.length = 0;
  credentials.rotate();
  await client.until(() => client.seen.length === 2);
  assert.deepEqual(
    client.seen.map(({ kind, names }) => [kind, ...names]),
    [
      ["secret", "credential:secret/default/client"],
      ["cluster", "mutual"],
    ],
  );
  await client.until(() => engine.fleet[0]?.isSettled === true);
  assert.equal(engine.fleet[0]?.revision, "1");
});

test("a port that a client of a fleet could not open is tried again under the same number", async (t) => {
  const { engine, connect } = await start(t);
  let isTaken = true;
  const client = connect({
    judge: ({ typeUrl, resources }) =>
      isTaken && resources.length > 0 && typeUrl.endsWith("Listener")
        ? "cannot bind '127.0.0.1:8080': Address already in use"
        : undefined,
  });
  await client.until(() => engine.fleet.length === 1);
  const codes = async (): Promise<string[]> =>
    (await engine.apply(revision(1))).problems.map(({ code }) => code);
  assert.deepEqual(await codes(), ["listener-port-unavailable"]);
  assert.deepEqual(await codes(), ["listener-port-unavailable"]);
  isTaken = false;
  assert.deepEqual(await codes(), []);
  assert.deepEqual([...(engine.fleet[0]?.kinds.listener?.acknowledged.keys() ?? [])], ["http"]);
});

test("what a client refuses is a problem of what it was made from; without its port a first revision is not accepted", async (t) => {
  const { engine, connect } = await start(t);
  const client = connect({
    judge: ({ typeUrl, resources }) => {
      if (resources.length === 0) return undefined;
      return typeUrl.endsWith("Listener")
        ? "cannot bind '127.0.0.1:8080': Address already in use"
        : undefined;
    },
  });
  await client.until(() => engine.fleet.length === 1);
  const heard: string[][] = [];
  engine.onProblems((problems) => heard.push(problems.map(({ code }) => code)));
  const report = await engine.apply(revision(1));
  assert.equal(report.accepted, false);
  assert.deepEqual(
    report.problems.map(({ code, subject }) => [code, subject]),
    [["listener-port-unavailable", "http"]],
  );
  assert.deepEqual(report.listeners, []);
  assert.match(report.problems[0]?.message ?? "", /Address already in use.*\(one\)/);
  await client.close();
  await client.until(() => heard.length >= 2);
  assert.deepEqual(heard, [["listener-port-unavailable"], []]);
});
