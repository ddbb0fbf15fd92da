import assert from "node:assert/strict";
import { test } from "node:test";
import { CATALOGUE } from "../../src/diagnostics/catalogue.ts";
import type { GatewayModel } from "../../src/model/gateway.ts";
import { compileText } from "./case.ts";

// Inputs that are wrong in ways that may not open anything, in either order of their documents. What each of them gives
// in detail matters less than what it must not give, so these are no golden files.

const MAPPING = document("Mapping", "orders", "prefix: /orders/\n  service: orders");
const SERVER = { credential: { "secret/default/server": true } } as const;

function document(kind: string, name: string, spec: string): string {
  return `apiVersion: getambassador.io/v2\nkind: ${kind}\nmetadata:\n  name: ${name}\nspec:\n  ${spec}\n`;
}

function module(config: string): string {
  return document("Module", "ambassador", `config:\n    ${config}`);
}

function bothOrders(
  documents: readonly string[],
  check: (model: GatewayModel, codes: string[]) => void,
): void {
  for (const ordered of [documents, [...documents].reverse()]) {
    const { model, diagnostics } = compileText("input.yaml", ordered.join("---\n"), SERVER);
    check(
      model,
      diagnostics.map(({ code }) => code),
    );
  }
}

function noCleartext(model: GatewayModel): void {
  assert.deepEqual(
    model.virtualHosts.filter(({ cleartext }) => cleartext === "route"),
    [],
    "nothing is routed in cleartext where TLS was asked for",
  );
}

function allClosed(model: GatewayModel): void {
  const kinds = model.routes.flatMap(({ destinations }) => destinations.map(({ action }) => action.kind));
  assert.ok(
    kinds.length > 0 && kinds.every((kind) => kind === "fail"),
    `every destination answers 503, not ${kinds.join(", ")}`,
  );
}

test("hosts that are no list do not open cleartext", () => {
  const context = document("TLSContext", "server", "hosts: a.example\n  secret: server");
  bothOrders([context, MAPPING], noCleartext);
});

test("hosts of which none is a name do not open cleartext", () => {
  const context = document("TLSContext", "server", 'hosts: ["https://x"]\n  secret: server');
  bothOrders([context, MAPPING], noCleartext);
});

test("two different TLSContexts of one name close the hosts of both", () => {
  const contexts = ["a.example", "b.example"].map((host) =>
    document("TLSContext", "server", `hosts: [${host}]\n  secret: server`),
  );
  bothOrders([...contexts, MAPPING], (model) => {
    for (const host of ["a.example", "b.example"]) {
      assert.equal(model.virtualHosts.find(({ domain }) => domain === host)?.tls.mode, "refuse", host);
    }
  });
});

test("two different TLSContexts of one name, one of which serves hosts, do not open cleartext", () => {
  const contexts = ["[]", "[a.example]"].map((hosts) =>
    document("TLSContext", "server", `hosts: ${hosts}\n  secret: server`),
  );
  bothOrders([...contexts, MAPPING], noCleartext);
});

test("two different Modules do not lose their access control", () => {
  bothOrders(
    [module("ip_allow: []\n    server_name: a"), module("ip_deny: []\n    server_name: b"), MAPPING],
    allClosed,
  );
});

test("two Modules that differ in access control alone do not lose it", () => {
  bothOrders([module("server_name: a"), module("server_name: a\n    ip_deny: []"), MAPPING], allClosed);
});

test("two different Modules do not lose required verification", () => {
  const modules = ["a", "b"].map((name) =>
    module(`upstream_verification: required\n    server_name: ${name}`),
  );
  bothOrders(
    [...modules, document("Mapping", "orders", "prefix: /orders/\n  service: https://orders")],
    allClosed,
  );
});

test("two Mappings of one name, one with a field that cannot be read, are closed", () => {
  bothOrders(
    [MAPPING, document("Mapping", "orders", "prefix: /orders/\n  service: orders\n  tls: 7")],
    allClosed,
  );
});

test("a group whose weights are all zero is closed, and a finding says so", () => {
  bothOrders(
    [document("Mapping", "orders", "prefix: /orders/\n  service: orders\n  weight: 0")],
    (model, codes) => {
      allClosed(model);
      const [action] = model.routes.flatMap(({ destinations }) => destinations.map(({ action }) => action));
      assert.ok(
        action?.kind === "fail" && codes.includes(action.code),
        "the route's code is among the findings",
      );
    },
  );
});

test("an access control of a version that is not known closes what it may cover", () => {
  const guard = document("AuthService", "auth", "auth_service: auth").replace("io/v2", "io/v3alpha1");
  bothOrders([guard, MAPPING], allClosed);
});

test("two different AuthServices of one name close what they cover", () => {
  const services = ["a", "b"].map((host) => document("AuthService", "auth", `auth_service: ${host}`));
  bothOrders([...services, MAPPING], allClosed);
});

test("an AuthService beside Module authentication that says otherwise closes what they cover", () => {
  const older = document("Module", "authentication", "config:\n    auth_service: a\n    timeout_ms: 1");
  bothOrders([document("AuthService", "auth", "auth_service: a"), older, MAPPING], allClosed);
});

test("a guard of a FilterPolicy that cannot be read closes every route", () => {
  for (const rules of ["{}", "[]", "[7]", "[{ host: 7 }]", '[{ host: "[a]", path: "/%6frders/*" }]'])
    bothOrders([document("FilterPolicy", "policy", `rules: ${rules}`), MAPPING], allClosed);
});

test("a TLSContext with hosts of a version that is not known does not open cleartext", () => {
  const context = document("TLSContext", "server", "hosts: [a.example]\n  secret: server");
  bothOrders([context.replace("io/v2", "io/v3alpha1"), MAPPING], noCleartext);
});

test("TLS termination by Module does not open cleartext", () => {
  const server = "tls:\n      server:\n        enabled: true\n        secret: server";
  bothOrders([module(server), MAPPING], noCleartext);
  const legacy = document("Module", "tls", "config:\n    server:\n      enabled: true\n      secret: server");
  bothOrders([legacy, MAPPING], noCleartext);
});

test("defaults in the Module that remove headers from requests hold for a Mapping that has none", () => {
  const defaults = "defaults:\n      httpmapping:\n        remove_request_headers: [x-secret]";
  bothOrders([module(defaults), MAPPING], ({ routes }) => {
    const action = routes[0]?.destinations[0]?.action;
    assert.deepEqual(action?.kind === "forward" && action.requestHeaders?.remove, ["x-secret"]);
  });
});

test("a rewrite that would end the request line closes the Mapping", () => {
  const rewrite = String.raw`"/y HTTP/1.1\r\nX-Evil: 1\r\nA: "`;
  bothOrders(
    [document("Mapping", "orders", `prefix: /orders/\n  service: orders\n  rewrite: ${rewrite}`)],
    allClosed,
  );
});

test("no two listeners are given one port", () => {
  const context = document(
    "TLSContext",
    "server",
    "hosts: [a.example]\n  secret: server\n  redirect_cleartext_from: 8443",
  );
  bothOrders([context, MAPPING], (model) => {
    const ports = model.listeners.map(({ port }) => port);
    assert.equal(new Set(ports).size, ports.length, ports.join(", "));
  });
});

test("of two Modules in two namespaces none wins silently", () => {
  const modules = ["a", "b"].map((namespace) =>
    module(`server_name: ${namespace}`).replace(
      "name: ambassador",
      `name: ambassador\n  namespace: ${namespace}`,
    ),
  );
  bothOrders([...modules, MAPPING], (_, codes) =>
    assert.ok(codes.length > 0, "a finding says which is used"),
  );
});

test("whatever code the store has against a certificate or a CA, nothing that names it opens", () => {
  const documents = [
    document("TLSContext", "server", "hosts: [a.example]\n  secret: server\n  ca_secret: ca"),
    document("TLSContext", "up", "secret: server\n  ca_secret: ca"),
    document("Mapping", "orders", "prefix: /orders/\n  service: orders\n  tls: up"),
  ].join("---\n");
  for (const code of Object.keys(CATALOGUE)) {
    const verdict = { code, reason: "it is not usable" };
    for (const offered of [
      { credential: { "secret/default/server": verdict }, trust: { "secret/default/ca": true as const } },
      { credential: { "secret/default/server": true as const }, trust: { "secret/default/ca": verdict } },
    ]) {
      const { model } = compileText("input.yaml", documents, offered);
      allClosed(model);
      assert.equal(model.virtualHosts.find(({ domain }) => domain === "a.example")?.tls.mode, "refuse", code);
    }
  }
});

test("a misspelt field that narrows or guards a Mapping closes it", () => {
  for (const field of ["tsl: server", "hots: a.example", "metod: GET", "heders: { x-admin: yes }"]) {
    bothOrders([document("Mapping", "orders", `prefix: /orders/\n  service: orders\n  ${field}`)], allClosed);
  }
});

test("a misspelt field that guards a TLSContext closes it, and with it what names it", () => {
  const mapping = document("Mapping", "orders", "prefix: /orders/\n  service: orders\n  tls: server");
  for (const field of ["cert_requird: true", "ca_secrt: server", "min_tls_versoin: v1.3"]) {
    const context = document("TLSContext", "server", `hosts: [a.example]\n  secret: server\n  ${field}`);
    bothOrders([context, mapping], (model) => {
      allClosed(model);
      assert.equal(model.virtualHosts.find(({ domain }) => domain === "a.example")?.tls.mode, "refuse");
    });
  }
});

test("hosts that are misspelt, or no text at all, do not open cleartext", () => {
  for (const hosts of ["hsots: [a.example]", "hosts: [7]", "hosts: { a.example: true }"])
    bothOrders([document("TLSContext", "server", `${hosts}\n  secret: server`), MAPPING], noCleartext);
});

test("a Host whose name cannot be read could be any: no name is served in cleartext", () => {
  bothOrders([document("Host", "edge", "hostname: https://a.example/"), MAPPING], noCleartext);
});

test("of two listeners that want one port, the one for TLS gets it", () => {
  const context = document("TLSContext", "server", "hosts: [a.example]\n  secret: server");
  bothOrders([context, module("service_port: 8080"), MAPPING], (model) =>
    assert.deepEqual(
      model.listeners.map(({ port, transport }) => [port, transport]),
      [[8080, "tls"]],
    ),
  );
});

/** The Module of namespace `default` gives the settings; what the other one restricts holds all the same. */
function twoNamespaces(restriction: string): string[] {
  const other = module(restriction).replace("name: ambassador", "name: ambassador\n  namespace: another");
  return [module("server_name: chosen"), other];
}

test("what a Module of another namespace restricts holds, whatever Module gives the settings", () => {
  const https = document("Mapping", "orders", "prefix: /orders/\n  service: https://orders");
  bothOrders([...twoNamespaces("upstream_verification: required"), https], allClosed);
  bothOrders([...twoNamespaces("ip_allow: [{ peer: 10.0.0.0/8 }]"), MAPPING], (model) =>
    assert.equal(model.http.addresses?.action, "allow"),
  );
  bothOrders([...twoNamespaces("tls: { server: { secret: server } }"), MAPPING], noCleartext);
  bothOrders([...twoNamespaces("reject_requests_with_escaped_slashes: true"), MAPPING], (model) => {
    assert.equal(model.http.rejectEscapedSlashes, true);
    assert.equal(model.http.serverName, "chosen");
  });
});

test("two different Modules of one name lose none of their restrictions", () => {
  const plain = module("server_name: a");
  bothOrders([plain, module("reject_requests_with_escaped_slashes: true"), MAPPING], (model) =>
    assert.equal(model.http.rejectEscapedSlashes, true),
  );
  bothOrders([plain, module("tls: { server: { secret: server } }"), MAPPING], noCleartext);
});

test("a repetition of an object that cannot be used is no repetition: neither is used", () => {
  const context = document("TLSContext", "server", "secret: server");
  const mapping = document("Mapping", "orders", "prefix: /orders/\n  service: orders\n  tls: server");
  bothOrders([context, context.replace("io/v2", "io/v3alpha1"), mapping], allClosed);
});

test("a restriction of the Module that is misspelt or cannot be read holds in its strict sense", () => {
  const https = document("Mapping", "orders", "prefix: /orders/\n  service: https://orders");
  for (const config of ["ip_alow: []", "ip_dney: []"]) bothOrders([module(config), MAPPING], allClosed);
  for (const config of ["upstream_verification: 7", "upstream_verificaton: required"])
    bothOrders([module(config), https], allClosed);
  for (const config of [
    "reject_requests_with_escaped_slashes: 7",
    "reject_request_with_escaped_slashes: true",
  ]) {
    bothOrders([module(config), MAPPING], (model) => assert.equal(model.http.rejectEscapedSlashes, true));
  }
});

/** The same object in envelopes that cannot be accepted: a version, a kind and a name that nobody knows. */
function unacceptable(text: string): string[] {
  return [
    text.replace("io/v2", "io/v3alpha1"),
    text.replace(/kind: (\w+)\w/, "kind: $1"),
    text.replace(/name: .*/, "labels: {}"),
  ];
}

test("access control in an envelope that cannot be accepted closes what it may cover", () => {
  for (const guard of [
    ...unacceptable(document("AuthService", "auth", "auth_service: auth")),
    ...unacceptable(document("FilterPolicy", "policy", "rules: []")),
    module("ip_deny: []").replace("io/v2", "io/v3alpha1"),
  ]) {
    bothOrders([guard, MAPPING], allClosed);
  }
});

test("names for TLS in an envelope that cannot be accepted do not open cleartext", () => {
  for (const names of [
    ...unacceptable(document("Host", "edge", "hostname: a.example")),
    ...unacceptable(document("TLSContext", "server", "hosts: [a.example]\n  secret: server")),
    module("tls: { server: { secret: server } }").replace("io/v2", "io/v3alpha1"),
  ]) {
    bothOrders([names, MAPPING], noCleartext);
  }
});

test("a TLSContext in an envelope that cannot be accepted opens nothing that names it", () => {
  const mapping = document("Mapping", "orders", "prefix: /orders/\n  service: orders\n  tls: server");
  for (const context of unacceptable(document("TLSContext", "server", "secret: server")))
    bothOrders([context, mapping], allClosed);
});

test("a TCPMapping that names a TLSContext never leaves in cleartext, however the context is broken", () => {
  const mapping = document("TCPMapping", "db", "port: 5432\n  service: db:5432\n  tls: upstream");
  const broken = {
    missing: [],
    "without its secret": [document("TLSContext", "upstream", "secret: gone")],
    "with a field that cannot be read": [document("TLSContext", "upstream", "secret: server\n  sni: 7")],
    "with a field that is misspelt": [document("TLSContext", "upstream", "secert: server")],
    "written twice": ["a", "b"].map((sni) =>
      document("TLSContext", "upstream", `secret: server\n  sni: ${sni}`),
    ),
    "of an unknown version": [document("TLSContext", "upstream", "secret: server").replace("io/v2", "io/v9")],
  };
  for (const [how, contexts] of Object.entries(broken)) {
    bothOrders([mapping, ...contexts], (model) => {
      const kinds = model.tcpListeners?.flatMap(({ chains }) =>
        chains.flatMap(({ destinations }) => destinations.map(({ action }) => action.kind)),
      );
      assert.deepEqual(kinds, ["fail"], how);
      assert.deepEqual(model.clusters, [], how);
    });
  }
});

test("a TCPMapping's host whose TLSContext is broken is refused, never passed on", () => {
  const mapping = document("TCPMapping", "db", "port: 5432\n  host: a.example\n  service: db:5432");
  const broken = {
    "without its secret": ["hosts: [a.example]\n  secret: gone"],
    "with a field that cannot be read": ["hosts: [a.example]\n  secret: server\n  cert_required: perhaps"],
    "without the CA that it requires": ["hosts: [a.example]\n  secret: server\n  cert_required: true"],
    "written twice": ["v1.2", "v1.3"].map(
      (version) => `hosts: [a.example]\n  secret: server\n  min_tls_version: ${version}`,
    ),
  };
  for (const [how, specs] of Object.entries(broken)) {
    const contexts = specs.map((spec) => document("TLSContext", "server", spec));
    bothOrders([mapping, ...contexts], (model) => {
      const modes = model.tcpListeners?.flatMap(({ chains }) => chains.map(({ tls }) => tls.mode));
      assert.deepEqual(modes, ["refuse"], how);
    });
  }
});
