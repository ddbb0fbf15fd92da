import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import type {
  Credential,
  CredentialChange,
  CredentialReader,
  TrustBundle,
} from "../../src/credentials/credential.ts";
import { createAdsServer } from "../../src/engines/envoy/ads/server.ts";
import { createEnvoyEngine } from "../../src/engines/envoy/engine.ts";
import type { EngineProblem } from "../../src/engines/engine.ts";
import { bootstrapOf, OWN_CLUSTER } from "../../src/engines/envoy/process/bootstrap.ts";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { createRunDirectory } from "../../src/engines/envoy/process/run-directory.ts";
import { EnvoySupervisor } from "../../src/engines/envoy/process/supervisor.ts";
import type { GatewayModel } from "../../src/model/gateway.ts";
import { systemClock as clock } from "../../src/telemetry/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { certificates } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { startLoad } from "../support/load.ts";
import { HTTP } from "../support/static-envoy.ts";
import { until } from "../support/until.ts";
import { startUpstream } from "../support/upstream.ts";

const SECRET = "secret/default/certs";

/** A store that publishes what admission would not: what only Envoy objects to is not to be had. */
function storeOf(first: Omit<Credential, "name" | "generation">, trust: TrustBundle) {
  const listeners = new Set<(change: CredentialChange) => void>();
  let credential: Credential = { ...first, name: SECRET, generation: 1 };
  const reader: CredentialReader = {
    credential: (name) => (name === SECRET ? credential : undefined),
    trust: (name) => (name === "ca" ? trust : undefined),
    crl: () => undefined,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  return {
    reader,
    rotate(next: { readonly certificateChain: string; readonly privateKey: string }) {
      credential = { ...credential, ...next, generation: credential.generation + 1 };
      const { generation } = credential;
      for (const listener of listeners)
        listener({ name: SECRET, kind: "credential", event: "rotated", generation });
    },
  };
}

test("a secret that Envoy refuses in the middle of a rotation: the last good one stays, no request is lost, and the next is taken", async (t) => {
  const { ca, client } = await certificates();
  const next = await ca.issue({ commonName: "next", usage: "client" });
  const upstream = await startUpstream("mtls");
  const port = await freePort();
  const store = storeOf(
    {
      certificateChain: client.certificate,
      privateKey: client.privateKey,
      facts: [],
      notAfter: Number.MAX_SAFE_INTEGER,
    },
    { name: "ca", generation: 1, anchors: [ca.certificate], facts: [] },
  );
  const forward = (name: string, cluster: string): GatewayModel["routes"][number] => ({
    name: `mapping/default/${name}`,
    match: { path: { kind: "prefix", value: `/${name}` } },
    destinations: [
      { name: `mapping/default/${name}`, weight: 1, action: { kind: "forward", cluster, timeoutMs: 3000 } },
    ],
  });
  const model: GatewayModel = {
    http: HTTP,
    listeners: [{ name: "http", address: "127.0.0.1", port, transport: "cleartext", action: "serve" }],
    virtualHosts: [{ domain: "*", origin: "gateway", tls: { mode: "cleartext" }, cleartext: "route" }],
    routes: [forward("mutual", "up")],
    clusters: [
      {
        name: "up",
        service: { host: "127.0.0.1", port: upstream.port },
        connectTimeoutMs: 3000,
        tls: {
          mode: "originate",
          credential: SECRET,
          verification: { mode: "chain-and-name", trust: "ca", name: "localhost" },
          parameters: { minVersion: "v1.2", maxVersion: "v1.3", cipherSuites: [], groups: [], alpn: [] },
        },
      },
    ],
  };
  const logger = createLogger("silent");
  const directory = createRunDirectory();
  const ads = createAdsServer({ clock, logger, authorize: () => ({ group: "all", identity: "test" }) });
  await ads.listen({ path: directory.xdsSocket });
  const supervisor = new EnvoySupervisor({
    drainSeconds: 1,
    path: (await findEnvoy({ environment: process.env })).path,
    bootstrap: bootstrapOf({
      nodeId: "test",
      nodeCluster: "test",
      xds: { socket: directory.xdsSocket },
      admin: { socket: directory.adminSocket },
    }),
    directory,
    concurrency: 1,
    logger,
    clock,
  });
  const engine = createEnvoyEngine({
    ads,
    group: "all",
    credentials: store.reader,
    logger,
    clock,
    ownCluster: OWN_CLUSTER,
    proxies: supervisor,
  });
  let problems: readonly EngineProblem[] = [];
  engine.onProblems((now) => {
    problems = now;
  });
  t.after(async () => {
    await engine.stop();
    await ads.close();
    await upstream.close();
    directory.remove();
  });
  supervisor.start();
  await engine.apply({ number: 1, hash: "1", model });
  assert.ok(await supervisor.live(10_000));
  const running = startLoad(`http://127.0.0.1:${port}/mutual`, 4);
  t.after(() => running.stop());
  const subjects = (): Set<string | null> => new Set(upstream.seen.map(({ clientSubject }) => clientSubject));
  await until(() => upstream.seen.length > 50);
  const own = [...subjects()];
  assert.equal(own.length, 1);

  // Another certificate with a key that is not its own; the cluster's generation moves on in the same breath.
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  store.rotate({
    certificateChain: next.certificate,
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  });
  await until(() => problems.length > 0);
  await until(() => problems.some(({ subject }) => subject === SECRET));
  // On the Secret's YAML; and on the Mapping's, whose new generation Envoy refuses for the secret that it was just given.
  for (const { code, subject, message } of problems) {
    assert.equal(code, "engine-refused");
    assert.ok(subject === SECRET || subject === "mapping/default/mutual", subject);
    assert.match(message, /its last good version stays/);
    assert.ok(!message.includes("PRIVATE KEY"));
  }
  // The generation of its users has moved on, and they present what there is.
  await until(() => engine.fleet[0]?.kinds.cluster?.pending === 0);
  const before = upstream.seen.length;
  await until(() => upstream.seen.length > before + 50);
  assert.deepEqual([...subjects()], own);

  const last = await ca.issue({ commonName: "last", usage: "client" });
  store.rotate({ certificateChain: last.certificate, privateKey: last.privateKey });
  await until(() => problems.length === 0);
  await until(() => upstream.seen.at(-1)?.clientSubject === "CN=last");
  const { failures } = await running.stop();
  assert.deepEqual(failures, []);
});
