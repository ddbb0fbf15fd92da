import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSecret } from "../../../src/resources/secret.ts";

const raw = { value: null, source: { file: "a.yaml", line: 1, column: 1 }, fields: new Map() };
const read = (object: Record<string, unknown>) => {
  const { material, diagnostics } = parseSecret({ namespace: "default", name: "s" }, object, raw);
  return { material, codes: diagnostics.map(({ code }) => code) };
};
const base64 = (text: string): string => Buffer.from(text).toString("base64");

test("what a key holds and cannot be read is there all the same, and says so", () => {
  for (const value of [7, "?", "YQ", "YQ==YQ==", "Y Q = =\u00e4", null]) {
    const { material, codes } = read({ data: { "ca.crt": value, "tls.crt": base64("chain") } });
    assert.deepEqual(material, { certificateChain: "chain", trustAnchors: "" }, String(value));
    assert.deepEqual(codes, ["secret-data-invalid"]);
  }
  assert.deepEqual(read({ stringData: { "ca.crt": 7 } }), {
    material: { trustAnchors: "" },
    codes: ["secret-data-invalid"],
  });
});

test("data that is no map may have held anything", () => {
  for (const object of [{ data: 7 }, { data: [], stringData: { "tls.crt": "chain", "tls.key": "key" } }])
    assert.deepEqual(read(object), {
      material: { certificateChain: "" },
      codes: ["secret-data-invalid"],
    });
});

test("stringData wins over data, as in Kubernetes, and line breaks in base64 are none of its business", () => {
  const data = {
    "tls.crt": base64("chain"),
    "tls.key": `${base64("old").slice(0, 2)}\n${base64("old").slice(2)}`,
  };
  assert.deepEqual(read({ data }).material, { certificateChain: "chain", privateKey: "old" });
  assert.deepEqual(read({ data, stringData: { "tls.key": "new" } }).material, {
    certificateChain: "chain",
    privateKey: "new",
  });
});

test("a Secret that holds nothing for TLS is none", () => {
  assert.deepEqual(read({ data: { password: base64("x") } }), { material: null, codes: [] });
  assert.deepEqual(read({ data: { password: 7 } }), { material: null, codes: ["secret-data-invalid"] });
  assert.deepEqual(read({ type: "example.com/other", data: { "tls.crt": base64("x") } }), {
    material: null,
    codes: ["secret-type-unsupported"],
  });
  // `kubectl get secrets -A` brings them along.
  for (const type of ["kubernetes.io/service-account-token", "helm.sh/release.v1"])
    assert.deepEqual(read({ type, data: { "ca.crt": base64("x") } }), { material: null, codes: [] });
});
