import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withConnectContexts } from "../../../src/resources/connect-contexts.ts";
import { parseObject } from "../../../src/resources/envelope.ts";
import type { AnyResource } from "../../../src/resources/kinds.ts";
import { createResourceSet } from "../../../src/resources/resource-set.ts";
import { parseYaml } from "../../../src/sources/files/yaml.ts";
import { mappingYaml, moduleYaml, tlsContextYaml } from "../../support/certificates.ts";
import { consulResolverYaml } from "../../support/consul.ts";

const DC1 = consulResolverYaml("dc1", "consul-1:8500");
const DC2 = consulResolverYaml("dc2", "consul-2:8500");
const PAGE = tlsContextYaml("ambassador-consul", { hosts: [], secret: "ambassador-consul-connect" });

/** The contexts with an identity, and what it is; others by their Secret. */
function contexts(text: string, ambassadorId = "default", ...secrets: string[]): Record<string, unknown> {
  const objects = parseYaml("a.yaml", text)
    .objects.map((raw) => parseObject(raw, "default").resource)
    .filter((resource): resource is AnyResource => resource !== null);
  const set = createResourceSet(objects).resources;
  const { tlsContexts } = withConnectContexts(set, {
    secrets: new Set(secrets.map((name) => `secret/default/${name}`)),
    ambassadorId,
  });
  return Object.fromEntries(
    tlsContexts.map(({ namespace, name, spec }) => [
      namespace === "default" ? name : `${name} in ${namespace}`,
      spec.identity?.consul ?? spec.secret ?? null,
    ]),
  );
}

const user = (name: string, more: Record<string, unknown> = {}): string =>
  mappingYaml(name, { prefix: `/${name}/`, service: name, tls: "ambassador-consul", ...more });

describe("TLSContexts of Consul Connect", () => {
  it("are implied where a Mapping names ambassador-consul and there is a ConsulResolver", () => {
    assert.deepEqual(contexts(user("a", { resolver: "dc1" })), {});
    assert.deepEqual(contexts(DC1 + mappingYaml("a", { prefix: "/", service: "a", resolver: "dc1" })), {});
    assert.deepEqual(contexts(DC1 + user("a", { resolver: "dc1" })), {
      "ambassador-consul": { resolver: "dc1", service: "ambassador" },
    });
    assert.deepEqual(contexts(DC1 + user("a", { resolver: "dc1" }), "blue"), {
      "ambassador-consul": { resolver: "dc1", service: "ambassador-blue" },
    });
  });

  it("have their certificate from the agent where the connector's Secret is not written", () => {
    assert.deepEqual(contexts(PAGE), { "ambassador-consul": "ambassador-consul-connect" });
    assert.deepEqual(contexts(DC1 + PAGE), {
      "ambassador-consul": { resolver: "dc1", service: "ambassador" },
    });
    const blue = tlsContextYaml("mine", { hosts: [], secret: "ambassador-blue-consul-connect" });
    assert.deepEqual(contexts(DC1 + blue), { mine: { resolver: "dc1", service: "ambassador-blue" } });
    const other = tlsContextYaml("mine", { hosts: [], secret: "other-consul-connect" });
    assert.deepEqual(contexts(DC1 + other), { mine: "other-consul-connect" });
  });

  it("keep a Secret that somebody has written, and a context that is another", () => {
    assert.deepEqual(contexts(DC1 + PAGE, "default", "ambassador-consul-connect"), {
      "ambassador-consul": "ambassador-consul-connect",
    });
    const own = tlsContextYaml("ambassador-consul", { hosts: [], secret: "certs" });
    assert.deepEqual(contexts(DC1 + own + user("a", { resolver: "dc1" })), { "ambassador-consul": "certs" });
  });

  it("are there once for each resolver whose Mappings name them, the Module's default included", () => {
    const text = DC1 + DC2 + PAGE + user("a", { resolver: "dc2" });
    assert.deepEqual(contexts(text), { "ambassador-consul": { resolver: "dc2", service: "ambassador" } });
    const both = text + user("b") + moduleYaml({ resolver: "dc1" });
    for (const written of [both, both.replace(PAGE, "")])
      assert.deepEqual(contexts(written), {
        "ambassador-consul": { resolver: "dc1", service: "ambassador" },
        "ambassador-consul (by dc2)": { resolver: "dc2", service: "ambassador" },
      });
  });

  it("are implied in the namespaces of the Mappings, whatever the resolver's", () => {
    const inNamespace = (namespace: string, yaml: string): string =>
      yaml.replace('"metadata":{', `"metadata":{"namespace":"${namespace}",`);
    const text =
      DC1.replace("  name: dc1", "  name: dc1\n  namespace: consul") +
      DC2 +
      inNamespace("shop", user("a", { resolver: "dc1" })) +
      inNamespace("shop", user("b", { resolver: "dc2" })) +
      inNamespace("desk", user("c", { resolver: "dc1" }));
    const [dc1, dc2] = ["dc1", "dc2"].map((resolver) => ({ resolver, service: "ambassador" }));
    assert.deepEqual(contexts(text), {
      "ambassador-consul in desk": dc1,
      "ambassador-consul in shop": dc2,
      "ambassador-consul (by dc1) in shop": dc1,
    });
  });
});
