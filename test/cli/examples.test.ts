import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "node:test";
import { ENGINES } from "../support/engine-under-test.ts";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { credence, scratch } from "./credence.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/example.ts", import.meta.url));

const SAID: Readonly<Record<string, RegExp>> = {
  spiffe: /200: the service is spiffe:\/\/example\.org\/orders, and saw spiffe:\/\/example\.org\/gateway$/,
  istio:
    /200: the service saw spiffe:\/\/cluster\.local\/ns\/edge\/sa\/gateway, asked for as outbound_\.8080_\._\.\S+ with the protocol istio$/,
  linkerd: /200: the service was asked with l5d-dst-override: localhost:\d+$/,
  consul:
    /200: the service saw URI:spiffe:\/\/\S+\.consul\/ns\/default\/dc\/dc1\/svc\/ambassador, asked for as orders\.default\.dc1\.internal\.\S+\.consul$/,
};

for (const [name, said] of Object.entries(SAID)) {
  for (const engine of ENGINES)
    test(`the example ${name} runs on ${engine}`, async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, name, "--engine", engine]);
      assert.match(stdout.trim(), said);
    });

  test(`the example ${name} has no findings`, async (t) => {
    const { code, stdout } = await credence(t, "check", "--strict", `examples/${name}`);
    assert.equal(code, 0, stdout);
  });
}

test("explain takes for delivered what it does not ask for, and says so", async (t) => {
  const { code, stdout } = await credence(t, "explain", "GET", "http://x/orders/", "examples/spiffe");
  assert.equal(code, 0, stdout);
  assert.match(stdout, /presents what spiffe\/\S+ delivers, which is not asked here/);
  assert.doesNotMatch(stdout, /503/);
});

test("and so for a host that is served with an identity", async (t) => {
  const yaml =
    tlsContextYaml("down", {
      hosts: ["shop.example.com"],
      cert_required: true,
      identity: { spiffe: { socket: "/run/agent.sock" } },
    }) + mappingYaml("m", { prefix: "/", service: "shop" });
  const folder = scratch(t, { "all.yaml": yaml });
  const { code, stdout } = await credence(t, "explain", "GET", "https://shop.example.com/", folder);
  assert.equal(code, 0, stdout);
  assert.match(
    stdout,
    /served by shop\.example\.com .*\n +certificate of an issuer, which is not asked here/,
  );
});
