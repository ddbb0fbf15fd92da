import assert from "node:assert/strict";
import { test } from "node:test";
import type { RawObject } from "../../../src/resources/resource.ts";
import { WITHHELD, withholdKeys } from "../../../src/resources/withheld.ts";

const KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n";
const at = (line: number) => ({ file: "a.yaml", line, column: 1 });

function raw(value: unknown): RawObject {
  const fields = new Map([
    ["spec", at(4)],
    ["spec.secret", at(5)],
  ]);
  return { value, source: at(1), fields };
}

test("a key that stands where none belongs is taken out, and said at its place", () => {
  const context = {
    kind: "TLSContext",
    apiVersion: "getambassador.io/v2",
    metadata: { name: "ctx" },
    spec: { secret: KEY, hosts: ["a.example", KEY], alpn_protocols: "h2" },
  };
  const { raw: safe, diagnostics } = withholdKeys(raw(context));
  assert.deepEqual(safe.value, {
    ...context,
    spec: { secret: WITHHELD, hosts: ["a.example", WITHHELD], alpn_protocols: "h2" },
  });
  assert.deepEqual(
    diagnostics.map(({ code, subject, source, message }) => [code, subject.name, source?.line, message]),
    [
      ["private-key-misplaced", "ctx", 5, "spec.secret is a private key, which is not read there"],
      ["private-key-misplaced", "ctx", 4, "spec.hosts[1] is a private key, which is not read there"],
    ],
  );
});

test("a Secret keeps what it holds, and nothing else of that kind", () => {
  const secret = {
    kind: "Secret",
    apiVersion: "v1",
    metadata: { name: "s" },
    stringData: { "tls.key": KEY },
  };
  assert.equal(withholdKeys(raw(secret)).raw.value, secret);
  const { raw: safe, diagnostics } = withholdKeys(raw({ ...secret, type: KEY }));
  assert.deepEqual(safe.value, { ...secret, type: WITHHELD });
  assert.equal(diagnostics.length, 1);
});

test("what holds no key stays the same object; aliases and names are looked at too", () => {
  const shared = { certificate: KEY.replaceAll("PRIVATE KEY", "CERTIFICATE") };
  const plain = raw({ kind: "Mapping", a: shared, b: [shared] });
  assert.equal(withholdKeys(plain).raw, plain);
  const alias = { x: KEY };
  const { raw: safe } = withholdKeys(raw({ a: alias, b: alias, [KEY]: 1 }));
  assert.deepEqual(safe.value, { a: { x: WITHHELD }, b: { x: WITHHELD }, [WITHHELD]: 1 });
});
