import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "../support/fast-check.ts";
import { hashModel } from "../../src/compile/hash-model.ts";
import type { GatewayModel } from "../../src/model/gateway.ts";
import { compileText } from "../golden/case.ts";

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 400);

// Names of hosts, Secrets and contexts come from small sets, so that objects meet; good and bad values stand side by side.
const hostname = fc.constantFrom(
  "a.example",
  "A.example.",
  "*.example",
  "*",
  "",
  "b.example",
  "no name",
  7,
  null,
);
const secret = fc.constantFrom("good", "other", "missing", "broken", "", 7);
const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });
const insecure = fc.record({
  action: optional(fc.constantFrom("Redirect", "Route", "Route", "Reject", "route", 7)),
  additionalPort: optional(fc.constantFrom(-1, 8080, 9090, 8443, 0, "x")),
});
const tls = fc.record({
  ca_secret: optional(fc.constantFrom("ca", "missing")),
  certRequired: optional(fc.constantFrom(true, false, "yes")),
  min_tls_version: optional(fc.constantFrom("v1.3", "v9")),
  cert_requird: optional(fc.constant(true)),
});
const host = fc.record({
  hostname: optional(hostname),
  tlsSecret: optional(fc.record({ name: secret })),
  tlsContext: optional(fc.record({ name: fc.constantFrom("context", "missing", "") })),
  tls: optional(fc.oneof(tls, fc.constant(7))),
  requestPolicy: optional(fc.record({ insecure })),
  acmeProvider: optional(fc.record({ authority: fc.constantFrom("none", "other") })),
  colour: optional(fc.constant("red")),
});
const context = fc.record({
  hosts: optional(fc.array(fc.constantFrom("a.example", "c.example", "*"), { maxLength: 2 })),
  secret: optional(fc.constantFrom("good", "other", "missing")),
  ca_secret: optional(fc.constantFrom("ca", "missing")),
  cert_required: optional(fc.boolean()),
  redirect_cleartext_from: optional(fc.constantFrom(8080, 9090)),
});
const ingress = fc.record({
  ingressClassName: fc.constant("ambassador"),
  tls: optional(
    fc.array(
      fc.record({ hosts: optional(fc.array(hostname, { maxLength: 2 })), secretName: optional(secret) }),
      {
        maxLength: 2,
      },
    ),
  ),
  rules: optional(fc.array(fc.record({ host: optional(hostname) }), { maxLength: 2 })),
});
const module = fc.record({
  server: optional(fc.oneof(fc.record({ secret: optional(secret) }), fc.constant(7))),
  client: optional(fc.record({ secret: optional(fc.constantFrom("ca", "missing")) })),
});

const object = (kind: string, name: string, spec: unknown): string =>
  JSON.stringify({
    apiVersion: kind === "Ingress" ? "networking.k8s.io/v1" : "getambassador.io/v2",
    kind,
    metadata: { name },
    spec,
  });
const world = fc
  .record({
    hosts: fc.array(host, { maxLength: 3 }),
    contexts: fc.array(context, { maxLength: 2 }),
    ingresses: fc.array(ingress, { maxLength: 2 }),
    module: optional(module),
  })
  .map(({ hosts, contexts, ingresses, module }) => [
    ...hosts.map((spec, index) => object("Host", index === 2 ? "host-0" : `host-${index}`, spec)),
    ...contexts.map((spec, index) => object("TLSContext", index === 0 ? "context" : "host-0-context", spec)),
    ...ingresses.map((spec, index) => object("Ingress", `ingress-${index}`, spec)),
    ...(module === undefined ? [] : [object("Module", "tls", { config: module })]),
    object("Mapping", "all", { prefix: "/", service: "all" }),
  ]);

const OFFERED = {
  credential: {
    "secret/default/good": true,
    "secret/default/other": true,
    "secret/default/broken": { code: "private-key-mismatch", reason: "another key" },
  },
  trust: { "secret/default/ca": true },
} as const;

function compiled(documents: readonly string[], order: "as-written" | "reversed"): GatewayModel {
  return compileText("input.yaml", documents.join("\n---\n"), OFFERED, order).model;
}

it(`names are served as asked or refused: ${RUNS} worlds of Hosts, contexts, Ingresses and Modules`, () => {
  fc.assert(
    fc.property(world, (documents) => {
      const model = compiled(documents, "as-written");
      assert.equal(hashModel(model), hashModel(compiled(documents, "reversed")), "order decides nothing");
      const ports = model.listeners.map(({ port }) => port);
      assert.equal(new Set(ports).size, ports.length, "each port has one listener");
      const isNamed = model.virtualHosts.some(({ origin }) => origin !== "gateway");
      for (const { domain, origin, tls, cleartext } of model.virtualHosts) {
        if (tls.mode === "refuse") assert.notEqual(cleartext, "route", `${domain} is refused, not routed`);
        if (tls.mode === "terminate") {
          assert.match(tls.credential, /\/(?:good|other)$/);
          if (tls.clients.mode !== "none") assert.equal(tls.clients.trust, "secret/default/ca");
        }
        if (origin === "gateway" && isNamed) assert.equal(cleartext, "reject", "other names are not opened");
      }
    }),
    { numRuns: RUNS },
  );
});

it(`whoever asks for client certificates gets them: ${RUNS} Hosts and contexts for one name`, () => {
  fc.assert(
    fc.property(host, context, (spec, other) => {
      const asked = { ...spec, hostname: "a.example", tls: { ca_secret: "ca", cert_required: true } };
      const named = { ...other, hosts: ["a.example", ...(other.hosts ?? [])] };
      const model = compiled([object("Host", "a", asked), object("TLSContext", "b", named)], "as-written");
      const found = model.virtualHosts.find(({ domain }) => domain === "a.example");
      if (found?.tls.mode === "terminate") assert.equal(found.tls.clients.mode, "required");
      assert.notEqual(found?.tls.mode, "cleartext");
    }),
    { numRuns: RUNS },
  );
});
