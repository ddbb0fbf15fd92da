import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { mappingYaml } from "../support/certificates.ts";
import { startConnectService } from "../support/connect-service.ts";
import { consulResolverYaml, startConsul } from "../support/consul.ts";
import { credence } from "./credence.ts";

function folderOf(t: TestContext, address: string): string {
  const folder = mkdtempSync(join(tmpdir(), "credence-consul-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const spec = { service: "shop", resolver: "consul-dc1", tls: "ambassador-consul" };
  writeFileSync(
    join(folder, "all.yaml"),
    consulResolverYaml("consul-dc1", address) + mappingYaml("shop", { prefix: "/shop/", ...spec }),
  );
  return folder;
}

// 192.0.2.0/24 is nobody's (RFC 5737): whoever dialled it would wait.
test("check, explain and dump ask no Consul, and say what they do not know", async (t) => {
  const folder = folderOf(t, "192.0.2.1:8500");
  const checked = await credence(t, "check", "--strict", folder);
  assert.equal(checked.code, 0, checked.stdout);
  assert.match(
    checked.stdout,
    /endpoints-not-asked.*\n?.*Consul at 192\.0\.2\.1:8500 is asked when the gateway runs/s,
  );
  const explained = await credence(t, "explain", "GET", "http://any.example/shop/", folder);
  assert.match(
    explained.stdout,
    /the instances of shop that Consul at 192\.0\.2\.1:8500 has in dc1, by TLS/,
    explained.stderr,
  );
  const dumped = await credence(t, "dump", folder);
  assert.match(dumped.stdout, /shop\.default\.dc1\.internal\.trust-domain\.consul/);
});

test("probe asks Consul for instances and identity, and makes the handshake", async (t) => {
  const consul = await startConsul();
  const shop = await startConnectService(consul, "shop");
  t.after(async () => {
    await shop.close();
    await consul.end();
  });
  const folder = folderOf(t, consul.address);
  const none = await credence(t, "probe", "mapping/shop", folder);
  assert.equal(none.code, 1, none.stdout);
  assert.match(none.stdout, /no healthy instance of service shop in datacenter dc1/);
  await consul.register({ service: "shop", port: shop.port, native: true });
  const good = await credence(t, "probe", "mapping/shop", folder);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /spiffe:\/\/\S+\.consul\/ns\/default\/dc\/dc1\/svc\/shop/);
});
