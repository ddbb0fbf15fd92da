import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { EndpointStore } from "../../../src/endpoints/store.ts";

const origin = { subject: { kind: "ConsulResolver", namespace: "default", name: "dc1" } };
const [A, B] = [
  { address: "10.0.0.1", port: 80 },
  { address: "10.0.0.2", port: 80 },
];

let store: EndpointStore;
let changed: string[];
beforeEach(() => {
  store = new EndpointStore();
  changed = [];
  store.onChange((name) => changed.push(name));
});
const effects = (): string[] => store.diagnostics().map(({ code, effect }) => `${code} ${effect}`);

test("the same addresses in another order change nothing", () => {
  store.publish("s", [A, B], origin);
  const { endpoints } = store.find("s");
  store.publish("s", [B, A, B], origin);
  assert.equal(store.find("s").endpoints, endpoints);
  assert.deepEqual(changed, ["s"]);
});

test("weights change what is told, and of two for one address the greater counts", () => {
  store.publish("s", [{ ...A, weight: 3 }, B, A], origin);
  assert.deepEqual(store.find("s").endpoints, [{ ...A, weight: 3 }, B]);
  store.publish("s", [A, B, { ...A, weight: 3 }], origin);
  assert.deepEqual(changed, ["s"]);
  store.publish("s", [A, B], origin);
  assert.deepEqual(store.find("s").endpoints, [A, B]);
  assert.deepEqual(changed, ["s", "s"]);
});

test("a source in trouble takes nothing away, and what it says next counts", () => {
  store.publish("s", [A], origin);
  store.reportTrouble("s", origin, "gone");
  assert.deepEqual(store.find("s"), { endpoints: [A], missing: null });
  assert.deepEqual(effects(), ["endpoints-unavailable kept-previous"]);
  store.publish("s", [A], origin);
  assert.deepEqual(effects(), []);
  store.publish("s", [], origin, "nobody is left");
  assert.deepEqual(store.find("s"), { endpoints: [], missing: "nobody is left" });
  assert.deepEqual(effects(), ["endpoints-none route-fails-closed"]);
  assert.deepEqual(changed, ["s", "s"]);
});

test("before the first answer there are no addresses, and the trouble is the reason", () => {
  assert.match(store.find("s").missing ?? "", /nobody has told/);
  store.reportTrouble("s", origin, "connection refused");
  assert.deepEqual(store.find("s"), { endpoints: [], missing: "connection refused" });
  assert.deepEqual(effects(), ["endpoints-unavailable route-fails-closed"]);
});

test("what nobody wants any more is gone", () => {
  store.publish("s", [A], origin);
  store.withdraw("s");
  assert.deepEqual(store.find("s").endpoints, []);
  assert.deepEqual(changed, ["s", "s"]);
  assert.deepEqual(effects(), []);
});
