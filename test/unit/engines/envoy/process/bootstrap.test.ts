import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bootstrapOf, sdsFiles } from "../../../../../src/engines/envoy/process/bootstrap.ts";
import { findEnvoy } from "../../../../../src/engines/envoy/process/find.ts";
import { validateBootstrap } from "../../../../../src/engines/envoy/process/validate.ts";
import { createAuthority } from "../../../../../src/x509/authority.ts";

const { path: envoy } = await findEnvoy({ environment: process.env });

test("Envoy takes the bootstrap of a gateway on this machine", async () => {
  const bootstrap = bootstrapOf({
    nodeId: "gateway",
    nodeCluster: "credence",
    xds: { socket: "/tmp/nonexistent/xds.sock" },
    admin: { socket: "/tmp/nonexistent/admin.sock" },
    dnsResolvers: ["127.0.0.1:5353", "[::1]:53"],
    maxConnections: 1000,
  });
  assert.deepEqual(await validateBootstrap(envoy, bootstrap), { ok: true });
});

test("Envoy takes the bootstrap of a fleet's member, with the names of its files and no key", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "credence-bootstrap-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const authority = await createAuthority("fleet");
  const issued = await authority.issue({ commonName: "edge", uris: ["spiffe://example/edge"] });
  const files = {
    "ca.pem": authority.certificate,
    "tls.crt": issued.certificate,
    "tls.key": issued.privateKey,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const tls = {
    ca: join(folder, "ca.pem"),
    certificate: join(folder, "tls.crt"),
    privateKey: join(folder, "tls.key"),
  };
  const sds = { identity: join(folder, "identity.json"), trust: join(folder, "trust.json") };
  for (const [name, content] of Object.entries(sdsFiles(tls)))
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(content));
  for (const [host, followed] of [
    ["control.example", {}],
    ["127.0.0.1", { sds }],
    ["0:0::0001", {}],
  ] as const) {
    const bootstrap = bootstrapOf({
      nodeId: "edge-1",
      nodeCluster: "edge",
      xds: {
        host,
        port: 18000,
        tls: { ...tls, ...followed },
      },
      admin: { loopbackPort: 0 },
    });
    assert.deepEqual(await validateBootstrap(envoy, bootstrap), { ok: true });
    assert.ok(!JSON.stringify(bootstrap).includes("BEGIN"));
    if (host === "0:0::0001")
      assert.match(JSON.stringify(bootstrap), /"IP_ADDRESS","matcher":\{"exact":"::1"/);
  }
});

test("what Envoy does not take is said in its words", async () => {
  const wrong = { static_resources: { clusters: [{ name: "a", connect_timeout: "nonsense" }] } };
  const validation = await validateBootstrap(envoy, wrong);
  assert.ok(!validation.ok && /connect_timeout/.test(validation.reason), JSON.stringify(validation));
});
