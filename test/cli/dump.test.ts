import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuthority } from "../../src/x509/authority.ts";
import { secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { credence, mapping, scratch } from "./credence.ts";

test("dump prints the model, the same for any order of files, and no key", async (t) => {
  const authority = await createAuthority("test CA");
  const { certificate, privateKey } = await authority.issue({ commonName: "gateway" });
  const parts = [
    `${mapping("a", "/a/", "https://localhost:1")}  tls: up\n`,
    mapping("b", "/b/", "localhost:2"),
    tlsContextYaml("up", { secret: "certs" }),
    secretYaml("certs", { certificate, privateKey }),
  ];
  const one = scratch(t, { "a.yaml": parts.join("---\n") });
  const other = scratch(t, Object.fromEntries(parts.map((part, index) => [`${9 - index}.yaml`, part])));
  const [first, second] = await Promise.all([credence(t, "dump", one), credence(t, "dump", other)]);
  assert.deepEqual([first?.code, first?.stderr], [0, ""]);
  const [left, right] = [JSON.parse(first.stdout), JSON.parse(second.stdout)];
  assert.deepEqual(Object.keys(left), ["version", "hash", "model", "references"]);
  assert.match(left.hash, /^[0-9a-f]{64}$/);
  assert.equal(JSON.stringify(left.model), JSON.stringify(right.model));
  assert.equal(left.hash, right.hash);
  assert.deepEqual(
    left.model.routes.map(({ name }: { name: string }) => name),
    ["mapping/default/b", "mapping/default/a"],
  );
  assert.match(left.references["route mapping/default/a"][0], /^mapping\/default\/a .*a\.yaml:1$/);
  assert.ok(!first.stdout.includes("PRIVATE KEY"));
  assert.ok(!first.stdout.includes(Buffer.from(privateKey).toString("base64").slice(0, 40)));
});

test("dump prints a model with errors too, says so, and exits 1", async (t) => {
  const folder = scratch(t, { "a.yaml": `${mapping("a", "/a/", "localhost:1")}  tls: nobody\n` });
  const { code, stdout, stderr } = await credence(t, "dump", folder);
  assert.equal(code, 1);
  assert.match(stderr, /1 error was found/);
  const [route] = JSON.parse(stdout).model.routes;
  assert.deepEqual(route.destinations[0].action, { kind: "fail", code: "tls-context-missing" });
});
