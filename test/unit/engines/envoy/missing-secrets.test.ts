import assert from "node:assert/strict";
import { test } from "node:test";
import type { Credential, CredentialReader, TrustBundle } from "../../../../src/credentials/credential.ts";
import { createAdsServer } from "../../../../src/engines/envoy/ads/server.ts";
import { createEnvoyEngine } from "../../../../src/engines/envoy/engine.ts";
import { bootstrapOf, OWN_CLUSTER } from "../../../../src/engines/envoy/process/bootstrap.ts";
import { findEnvoy } from "../../../../src/engines/envoy/process/find.ts";
import { createRunDirectory } from "../../../../src/engines/envoy/process/run-directory.ts";
import { EnvoySupervisor } from "../../../../src/engines/envoy/process/supervisor.ts";
import type { Cluster } from "../../../../src/model/cluster.ts";
import type { GatewayModel } from "../../../../src/model/gateway.ts";
import type { TlsParameters } from "../../../../src/model/tls.ts";
import { systemClock as clock } from "../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { certificates } from "../../../support/certificates.ts";
import { freePort } from "../../../support/free-port.ts";
import { HTTP } from "../../../support/static-envoy.ts";
import { startUpstream } from "../../../support/upstream.ts";

const PARAMETERS: TlsParameters = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
};

test("a model that names secrets that are not there: Envoy starts at once, their users answer 503, and the rest is served", async (t) => {
  const { ca, client } = await certificates();
  const upstream = await startUpstream("mtls");
  const port = await freePort();
  const port2 = await freePort();
  const trust: Record<string, TrustBundle> = {
    ca: { name: "ca", generation: 1, anchors: [ca.certificate], facts: [] },
  };
  const credential = {
    name: "client",
    generation: 1,
    certificateChain: client.certificate,
    privateKey: client.privateKey,
    facts: [],
    notAfter: Number.MAX_SAFE_INTEGER,
  } satisfies Credential;
  const credentials: CredentialReader = {
    credential: (name) => (name === "client" ? credential : undefined),
    trust: (name) => trust[name],
    crl: () => undefined,
    onChange: () => () => {},
  };
  const named = { whole: ["client", "ca"], "no-credential": ["gone", "ca"], "no-trust": ["client", "later"] };
  const clusters = Object.entries(named).map(
    ([name, [credentialName = "", trustName = ""]]): Cluster => ({
      name,
      service: { host: "127.0.0.1", port: upstream.port },
      connectTimeoutMs: 3000,
      tls: {
        mode: "originate",
        credential: credentialName,
        verification: { mode: "chain-and-name", trust: trustName, name: "localhost" },
        parameters: PARAMETERS,
      },
    }),
  );
  const model: GatewayModel = {
    http: HTTP,
    listeners: [
      { name: "http", address: "127.0.0.1", port, transport: "cleartext", action: "serve" },
      { name: "https", address: "127.0.0.1", port: port2, transport: "tls", action: "serve" },
    ],
    virtualHosts: [
      {
        domain: "*",
        origin: "gateway",
        tls: { mode: "terminate", credential: "gone", clients: { mode: "none" }, parameters: PARAMETERS },
        cleartext: "route",
      },
    ],
    routes: clusters.map(({ name }) => ({
      name: `mapping/default/${name}`,
      match: { path: { kind: "prefix", value: `/${name}` } },
      destinations: [
        {
          name: `mapping/default/${name}`,
          weight: 1,
          action: { kind: "forward", cluster: name, timeoutMs: 3000 },
        },
      ],
    })),
    clusters,
  };
  const logger = createLogger("silent");
  const directory = createRunDirectory();
  const ads = createAdsServer({ clock, logger, authorize: () => ({ group: "all", identity: "test" }) });
  await ads.listen({ path: directory.xdsSocket });
  const { path } = await findEnvoy({ environment: process.env });
  const bootstrap = bootstrapOf({
    nodeId: "test",
    nodeCluster: "test",
    xds: { socket: directory.xdsSocket },
    admin: { socket: directory.adminSocket },
  });
  const supervisor = new EnvoySupervisor({
    drainSeconds: 1,
    path,
    bootstrap,
    directory,
    concurrency: 1,
    logger,
    clock,
  });
  const engine = createEnvoyEngine({
    ads,
    group: "all",
    credentials,
    logger,
    clock,
    ownCluster: OWN_CLUSTER,
    proxies: supervisor,
  });
  t.after(async () => {
    await engine.stop();
    await ads.close();
    await upstream.close();
  });
  const status = async (name: string): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${port}/${name}`);
    await response.text();
    return response.status;
  };
  supervisor.start();
  await engine.apply({ number: 1, hash: "1", model });
  // Nothing waits for a secret: Envoy's own timeout for one is 15 s.
  assert.equal(await supervisor.live(5000), true);
  assert.equal(await status("whole"), 200);
  assert.equal(await status("no-credential"), 503);
  assert.equal(await status("no-trust"), 503);
  assert.equal(upstream.seen.length, 1);
  trust.later = { name: "later", generation: 1, anchors: [ca.certificate], facts: [] };
  await engine.apply({ number: 2, hash: "2", model });
  for (const end = Date.now() + 5000; (await status("no-trust")) !== 200; ) assert.ok(Date.now() < end);
  assert.equal(await status("no-credential"), 503);
});
