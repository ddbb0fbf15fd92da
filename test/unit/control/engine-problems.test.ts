import assert from "node:assert/strict";
import { test } from "node:test";
import { engineDiagnostic, placesIn } from "../../../src/control/engine-problems.ts";
import type { GatewayModel } from "../../../src/model/gateway.ts";
import type { AnyResource } from "../../../src/resources/kinds.ts";
import { createResourceSet } from "../../../src/resources/resource-set.ts";

const resource = (kind: string, name: string, line: number): AnyResource =>
  ({
    kind,
    namespace: "default",
    name,
    spec: {},
    raw: { source: { file: "a.yaml", line, column: 1 }, fields: new Map() },
  }) as unknown as AnyResource;

test("what an engine refuses is told where it is written, of whatever kind it is", () => {
  const { resources } = createResourceSet([
    resource("TLSContext", "up", 3),
    resource("TCPMapping", "db", 9),
    resource("Mapping", "shop", 20),
  ]);
  // The Mapping of an Ingress is written nowhere.
  const references = { "route x": ["mapping/default/of-an-ingress b.yaml:7"] };
  const destinations = [{ name: "tcpmapping/default/db" }];
  const tcpListeners = [{ name: "tcp-127.0.0.1-5432", chains: [{ destinations }] }];
  const model = { tcpListeners } as unknown as GatewayModel;
  const places = placesIn({ resources, compilation: { model, references } });
  const sourceOf = (subject: string) =>
    engineDiagnostic({ code: "engine-refused", subject, message: "no" }, places, {
      originOf: () => undefined,
    }).source;
  assert.deepEqual(
    ["tlscontext/default/up", "tcpmapping/default/db", "mapping/default/shop"].map(
      (subject) => sourceOf(subject)?.line,
    ),
    [3, 9, 20],
  );
  assert.equal(sourceOf("mapping/default/of-an-ingress")?.file, "b.yaml");
  // Its port cannot be opened, and a TCPMapping asks for it.
  assert.equal(sourceOf("tcp-127.0.0.1-5432")?.line, 9);
  assert.equal(sourceOf("http"), undefined);
});
