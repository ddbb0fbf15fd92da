import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createAuthority } from "../../src/x509/authority.ts";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { credence, scratch } from "./credence.ts";

interface World {
  readonly folder: string;
  readonly file: string;
}

/** A host that asks for client certificates, one that does not, and an upstream that is verified. */
async function world(t: TestContext): Promise<World> {
  const [edge, clients, upstream] = await Promise.all(
    ["edge CA", "client CA", "upstream CA"].map((name) => createAuthority(name)),
  );
  assert.ok(edge && clients && upstream);
  const server = await edge.issue({ commonName: "server", dnsNames: ["api.example", "www.example"] });
  const gateway = await upstream.issue({ commonName: "gateway", usage: "client" });
  const alice = await clients.issue({ commonName: "alice", usage: "client" });
  const mallory = await edge.issue({ commonName: "mallory", usage: "client" });
  const folder = scratch(t, {
    "gateway.yaml": [
      secretYaml("server", server),
      secretYaml("clients", { ca: clients.certificate }),
      secretYaml("upstream", { ...gateway, ca: upstream.certificate }),
      tlsContextYaml("api", {
        hosts: ["api.example"],
        secret: "server",
        ca_secret: "clients",
        cert_required: true,
      }),
      tlsContextYaml("web", { hosts: ["www.example"], secret: "server" }),
      tlsContextYaml("up", { secret: "upstream" }),
      mappingYaml("backend", {
        prefix: "/backend/",
        host: "api.example",
        service: "https://quote:8443",
        tls: "up",
        weight: 75,
        timeout_ms: 4000,
        add_request_headers: { "x-edge": "1" },
        add_response_headers: { "x-out": "2" },
      }),
      mappingYaml("canary", {
        prefix: "/backend/",
        host: "api.example",
        service: "https://quote2",
        tls: "up",
        weight: 25,
      }),
      mappingYaml("orders", {
        prefix: "/backend/",
        host: "api.example",
        method: "POST",
        headers: { "x-canary": "always" },
        service: "orders",
      }),
      mappingYaml("old", { prefix: "/old/", host_redirect: true, service: "https://new.example" }),
      mappingYaml("broken", { prefix: "/broken/", service: "quote", tls: "nobody" }),
    ].join(""),
    "alice.pem": alice.certificate,
    "mallory.pem": mallory.certificate,
  });
  return { folder, file: join(folder, "gateway.yaml") };
}

async function explained(t: TestContext, ...args: string[]) {
  const { code, stdout, stderr } = await credence(t, "explain", ...args, "--format", "json");
  assert.equal(stderr, "");
  return { code, report: JSON.parse(stdout) };
}

test("a forwarded request: handshake, route, shares, what goes upstream and who is verified", async (t) => {
  const { folder, file } = await world(t);
  const { code, report } = await explained(
    t,
    "GET",
    "https://api.example/backend/a%2e?q=1",
    file,
    "-H",
    "x-envoy-original-path: /x",
    "--from-cert",
    join(folder, "alice.pem"),
  );
  assert.equal(code, 0);
  assert.deepEqual(report.verdict, { kind: "forward", status: null });
  assert.deepEqual(report.listener, { name: "https", port: 8443, transport: "tls" });
  const { handshake } = report;
  assert.equal(handshake.served, true);
  assert.equal(handshake.host.origin, "tlscontext/default/api");
  assert.equal(handshake.certificate.credential, "secret/default/server");
  assert.equal(handshake.coversName, true);
  assert.deepEqual(handshake.clients, {
    mode: "required",
    trust: "secret/default/clients",
    anchors: ["CN=client CA"],
  });
  assert.deepEqual(handshake.client, { kind: "accepted", anchor: "CN=client CA" });
  assert.equal(report.route.name, "mapping/default/backend");
  assert.match(report.route.place, /gateway\.yaml:\d+$/);
  assert.deepEqual(
    report.destinations.map(({ name, percent }: { name: string; percent: number }) => [name, percent]),
    [
      ["mapping/default/backend", 75],
      ["mapping/default/canary", 25],
    ],
  );
  const [backend] = report.destinations;
  assert.equal(backend.request.path, "/a.?q=1");
  assert.deepEqual(backend.request.removed, ["x-envoy-original-path: /x"]);
  assert.ok(backend.request.added.includes("x-edge: 1"));
  assert.ok(backend.request.added.includes("x-forwarded-proto: https"));
  assert.deepEqual(backend.timeouts, { responseMs: 4000, idleMs: null, connectMs: 3000 });
  const { tls } = backend.upstream;
  assert.equal(tls.context, "default/up");
  assert.equal(tls.presents.subject, "CN=gateway");
  assert.equal(tls.verifies.name, "quote");
  assert.deepEqual(
    tls.verifies.anchors.map(({ subject }: { subject: string }) => subject),
    ["CN=upstream CA"],
  );
  assert.deepEqual(report.nearMisses, [
    {
      route: "mapping/default/orders",
      place: report.nearMisses[0].place,
      mismatches: [
        { on: "method", wanted: "POST", got: "GET" },
        { on: "header", name: "x-canary", wanted: "always", got: null },
      ],
    },
  ]);
});

test("the text says it at a glance, and no key is in it", async (t) => {
  const { file } = await world(t);
  const { code, stdout } = await credence(t, "explain", "GET", "https://api.example/backend/", file);
  assert.equal(code, 0);
  for (const said of [
    /is forwarded to quote:8443 by mutual TLS, quote2:443 by mutual TLS/,
    /client certificate required of CN=client CA .*taken for shown/,
    /\n {2}75 % {5}mapping\/default\/backend \(.*gateway\.yaml:\d+\)/,
    /verifies the name quote, and the chain to CN=upstream CA/,
    /nearly matched\n.*orders.*\n {4}method: wanted POST, got GET/,
  ])
    assert.match(stdout, said);
  assert.ok(!stdout.includes("PRIVATE KEY"));
  assert.ok(!stdout.includes("\x1b["));
});

test("whatever the gateway would refuse exits 1 and says why", async (t) => {
  const { folder, file } = await world(t);
  const cases: [args: string[], verdict: Record<string, unknown>][] = [
    [
      ["https://api.example/backend/", "--from-cert", join(folder, "mallory.pem")],
      { kind: "handshake-refused", status: null, reason: "client_certificate" },
    ],
    [["https://other.example/"], { kind: "handshake-refused", status: null, reason: "sni_unknown" }],
    [["https://127.0.0.1/"], { kind: "handshake-refused", status: null, reason: "sni_unknown" }],
    [
      ["https://www.example/backend/", "-H", "Host: api.example"],
      { kind: "refuse", status: 421, reason: "misdirected_request" },
    ],
    [["http://api.example/backend/"], { kind: "refuse", status: 400, reason: "cleartext_refused" }],
    [["https://www.example/backend/"], { kind: "refuse", status: 404, reason: "no_route" }],
    [["https://www.example/../x"], { kind: "refuse", status: 400, reason: "bad_request" }],
    [["https://www.example/broken/"], { kind: "refuse", status: 503, reason: "route_fails_closed" }],
  ];
  await Promise.all(
    cases.map(async ([args, verdict]) => {
      const { code, report } = await explained(t, "GET", ...args, file);
      assert.equal(code, 1, args.join(" "));
      assert.partialDeepStrictEqual(report.verdict, verdict);
    }),
  );
});

test("a missing slash and another host are named; a closed route has its finding", async (t) => {
  const { file } = await world(t);
  const { report } = await explained(t, "GET", "https://www.example/backend", file);
  assert.deepEqual(report.nearMisses[0].mismatches, [
    { on: "path", wanted: "/backend/*", got: "/backend" },
    { on: "host", wanted: "api.example", got: "www.example" },
    { on: "method", wanted: "POST", got: "GET" },
    { on: "header", name: "x-canary", wanted: "always", got: null },
  ]);
  const closed = await explained(t, "GET", "https://www.example/broken/", file);
  assert.deepEqual(
    closed.report.diagnostics.map(({ code }: { code: string }) => code),
    ["tls-context-missing"],
  );
});

test("a redirect exits 0 and says where to", async (t) => {
  const { file } = await world(t);
  const { code, report } = await explained(t, "GET", "https://www.example/old/x?y", file);
  assert.equal(code, 0);
  assert.deepEqual(report.verdict, {
    kind: "redirect",
    status: 301,
    location: "https://new.example/old/x?y",
  });
});

test("who is asked first, and the Ingress that a route comes from", async (t) => {
  const folder = scratch(t, {
    "a.yaml": `apiVersion: getambassador.io/v2
kind: AuthService
metadata: { name: auth }
spec: { auth_service: "auth:3000" }
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop, annotations: { kubernetes.io/ingress.class: ambassador } }
spec:
  rules:
    - http: { paths: [{ path: /x, pathType: Prefix, backend: { service: { name: shop, port: { number: 80 } } } }] }
`,
  });
  const { code, report } = await explained(t, "GET", "http://shop.example/x/y", folder);
  assert.equal(code, 0);
  const file = join(folder, "a.yaml");
  assert.equal(report.route.place, `${file}:6`);
  const { authorization } = report.destinations[0];
  assert.deepEqual(
    [authorization.name, authorization.place, authorization.port, authorization.tls],
    ["authservice/default/auth", `${file}:1`, 3000, null],
  );
});

test("docs/explain.md names every field of the JSON", async (t) => {
  const page = readFileSync(new URL("../../docs/explain.md", import.meta.url), "utf8");
  const { file } = await world(t);
  const { report } = await explained(t, "GET", "https://api.example/backend/", file);
  const unnamed = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === "object" && value !== null) {
      for (const [name, inner] of Object.entries(value)) {
        if (!new RegExp(`[\`.]${name}\``).test(page)) unnamed.add(name);
        visit(inner);
      }
    }
  };
  // The model's own parts are `credence dump`'s to explain.
  visit({
    ...report,
    route: { ...report.route, match: null },
    handshake: { ...report.handshake, parameters: null },
  });
  for (const known of ["add", "name", "value", "append"]) unnamed.delete(known);
  assert.deepEqual([...unnamed], []);
});

test("misuse exits 2 and says what is wrong", async (t) => {
  const { folder, file } = await world(t);
  const cases: [args: string[], said: RegExp][] = [
    [["GET", "api.example/x", file], /no http:\/\/ or https:\/\/ URL/],
    [["G T", "http://a/", file], /no HTTP method/],
    [["GET", "http://a/", file, "-H", "nonsense"], /no 'Name: value'/],
    [["GET", "http://a/", file, "--from-address", "here"], /no IP address/],
    [["GET", "http://a/", file, "--from-cert", join(folder, "nowhere")], /ENOENT/],
    [["GET", "http://a/", file, "--from-cert", file], /--from-cert .*(?:PEM|certificate)/],
    [["GET", "http://a/", join(folder, "nowhere")], /no such file or folder/],
  ];
  await Promise.all(
    cases.map(async ([args, said]) => {
      const { code, stderr, stdout } = await credence(t, "explain", ...args);
      assert.equal(code, 2, args.join(" "));
      assert.match(stderr, said);
      assert.equal(stdout, "");
    }),
  );
});
