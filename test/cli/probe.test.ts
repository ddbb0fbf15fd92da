import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createServer, type TlsOptions } from "node:tls";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { PeerReport, ProbeReport } from "../../src/probe/report.ts";
import { createAuthority } from "../../src/x509/authority.ts";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { issueSvid, startWorkloadApi } from "../support/workload-api.ts";
import { credence, scratch, startRun } from "./credence.ts";
import { absentAgentsYaml } from "../support/consul.ts";

async function upstream(t: TestContext, options: TlsOptions): Promise<number> {
  const server = createServer(options, (socket) => socket.on("error", () => {}));
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** A gateway with an mTLS upstream and an mTLS host, and certificates for both sides. */
async function world(t: TestContext) {
  const [edge, clients, backends] = await Promise.all(
    ["edge CA", "client CA", "backend CA"].map((name) => createAuthority(name)),
  );
  assert.ok(edge && clients && backends);
  const [server, backend, gateway, alice, mallory, expired] = await Promise.all([
    edge.issue({ commonName: "api.example", dnsNames: ["api.example"], usage: "server" }),
    backends.issue({ commonName: "backend", dnsNames: ["localhost"], usage: "server" }),
    backends.issue({ commonName: "gateway", usage: "client" }),
    clients.issue({ commonName: "alice", usage: "client" }),
    edge.issue({ commonName: "mallory", usage: "client" }),
    clients.issue({
      commonName: "late",
      usage: "client",
      notBefore: new Date(Date.now() - 2 * 86_400_000),
      notAfter: new Date(Date.now() - 86_400_000),
    }),
  ]);
  const port = await upstream(t, {
    cert: backend.certificate,
    key: backend.privateKey,
    ca: backends.certificate,
    requestCert: true,
  });
  const folder = scratch(t, {
    "gateway.yaml": [
      secretYaml("edge", server),
      secretYaml("clients", { ca: clients.certificate }),
      secretYaml("up", { ...gateway, ca: backends.certificate }),
      secretYaml("torn", {
        certificate: gateway.certificate,
        privateKey: alice.privateKey,
        ca: backends.certificate,
      }),
      tlsContextYaml("edge", {
        hosts: ["api.example"],
        secret: "edge",
        ca_secret: "clients",
        cert_required: true,
      }),
      tlsContextYaml("up", { secret: "up" }),
      tlsContextYaml("torn", { secret: "torn" }),
      tlsContextYaml("elsewhere", { secret: "up", sni: "other.example" }),
      mappingYaml("good", { prefix: "/good/", service: `https://localhost:${port}`, tls: "up" }),
      mappingYaml("torn", { prefix: "/torn/", service: `https://localhost:${port}`, tls: "torn" }),
      mappingYaml("elsewhere", {
        prefix: "/elsewhere/",
        service: `https://localhost:${port}`,
        tls: "elsewhere",
      }),
      mappingYaml("away", { prefix: "/away/", host_redirect: true, service: "new.example" }),
    ].join(""),
  });
  const files = scratch(t, {
    "edge-ca.pem": edge.certificate,
    "backend-ca.pem": backends.certificate,
    "gateway.pem": gateway.certificate,
    "gateway.key": gateway.privateKey,
    "alice.pem": alice.certificate,
    "alice.key": alice.privateKey,
    "mallory.pem": mallory.certificate,
    "mallory.key": mallory.privateKey,
    "late.pem": expired.certificate,
    "late.key": expired.privateKey,
  });
  const file = (name: string): string => join(files, name);
  return { folder, file, port };
}

async function probed(
  t: TestContext,
  ...args: string[]
): Promise<{ code: number | null; report: ProbeReport; peer: PeerReport }> {
  const { code, stdout, stderr } = await credence(t, "probe", ...args, "--format", "json");
  assert.equal(stderr, "");
  const report = JSON.parse(stdout) as ProbeReport;
  return { code, report, peer: report.peers[0] as PeerReport };
}

test("a Mapping: the handshake as the gateway would make it, with the places of what decides it", async (t) => {
  const { folder, port } = await world(t);
  const { code, report, peer } = await probed(t, "mapping/good", folder);
  assert.equal(code, 0);
  assert.equal(report.target, "mapping/default/good");
  assert.ok(report.good);
  assert.equal(peer.port, port);
  assert.deepEqual(
    peer.decidedBy.map(({ name }) => name),
    ["mapping/default/good", "tlscontext/default/up", "secret/default/up"],
  );
  for (const { place } of peer.decidedBy) assert.match(place ?? "", /gateway\.yaml:\d+$/);
  assert.equal(peer.presented[0]?.subject, "CN=gateway");
  assert.deepEqual(
    peer.steps.map(({ step }) => step),
    [
      ..."credential dns connect offer hello request certificate".split(" "),
      ..."checks presented accepted alpn resumption".split(" "),
    ],
  );
  const same = await probed(t, "mapping/good.default", folder);
  assert.equal(same.report.target, "mapping/default/good");
});

test("a Mapping whose peer has another name: the text names the step, the reason and what to change where", async (t) => {
  const { folder } = await world(t);
  const { code, stdout } = await credence(t, "probe", "mapping/elsewhere", folder);
  assert.equal(code, 1);
  assert.match(stdout, /^ {2}name_mismatch: the peer's certificate is for other names$/m);
  assert.match(stdout, /^ {2}✗ checks +CN=backend .* is not for other\.example but for localhost$/m);
  assert.match(stdout, /^ +✗ name +CN=backend/m);
  assert.match(stdout, /^name_mismatch at the step "checks"$/m);
  assert.match(stdout, /^ {2}change: .*gateway\.yaml:\d+ tlscontext\/default\/elsewhere: sni: localhost/m);
  assert.doesNotMatch(stdout, /\x1b\[/);
});

test("a TLSContext: everything that is dialled with it", async (t) => {
  const { folder } = await world(t);
  const { code, report, peer } = await probed(t, "tlscontext/up", folder);
  assert.equal(code, 0);
  assert.equal(report.peers.length, 1);
  assert.deepEqual(peer.decidedBy[0]?.name, "mapping/default/good");
});

test("a Mapping that is closed: its key belongs to another certificate, and nobody is dialled", async (t) => {
  const { folder } = await world(t);
  const { code, peer } = await probed(t, "mapping/torn", folder);
  assert.equal(code, 1);
  assert.equal(peer.verdict.reason, "key_mismatch");
  assert.equal(peer.verdict.step, "credential");
  assert.equal(peer.address, null);
  assert.match(peer.verdict.change[0]?.place ?? "", /gateway\.yaml:\d+$/);
});

test("of several contexts that are closed alike, the one is named that the Mapping names, with all that closes it", async (t) => {
  const service = "https://localhost:1";
  const folder = scratch(t, {
    "a.yaml":
      tlsContextYaml("first", { secret: "nowhere" }) +
      tlsContextYaml("second", { secret: "nowhere-too", min_tls_version: "v9" }) +
      mappingYaml("one", { prefix: "/one/", service, tls: "first" }) +
      mappingYaml("two", { prefix: "/two/", service, tls: "second" }),
  });
  for (const [target, context, says] of [
    ["mapping/one", "first", [/Secret/]],
    ["mapping/two", "second", [/Secret/, /v1\.3/]],
    ["tlscontext/second", "second", [/Secret/, /v1\.3/]],
  ] as const) {
    const { change } = (await probed(t, target, folder)).peer.verdict;
    assert.deepEqual(
      change.map(({ object }) => object),
      says.map(() => `tlscontext/default/${context}`),
    );
    for (const [index, text] of says.entries()) assert.match(change[index]?.says ?? "", text);
  }
});

test("a Mapping that a field closes: nothing is said of certificates, and what to write is", async (t) => {
  const folder = scratch(t, {
    "a.yaml":
      tlsContextYaml("up", { ca_secret: "ca", verify: { trust_domains: ["Upper.example"] } }) +
      mappingYaml("one", { prefix: "/one/", service: "https://localhost:1", tls: "up" }),
  });
  const { verdict } = (await probed(t, "mapping/one", folder)).peer;
  assert.match(verdict.is ?? "", /closes it \(field-invalid\)/);
  assert.doesNotMatch(verdict.remedy ?? "", /credential/);
  assert.match(verdict.says, /trust_domains\.0 is "Upper\.example" and must be a trust domain: lower case/);
});

test("of several Consul agents the one is named that does not answer, once, and why", async (t) => {
  const folder = scratch(t, { "a.yaml": absentAgentsYaml() });
  const { verdict } = (await probed(t, "mapping/two", folder)).peer;
  assert.match(verdict.says, /^Consul at \S*nothere\.sock: /);
  assert.deepEqual(
    verdict.change.map(({ object }) => object),
    ["consulresolver/default/two"],
  );
});

test("a URL: by itself, with a TLSContext, and with files", async (t) => {
  const { folder, file, port } = await world(t);
  const url = `https://localhost:${port}`;
  const bare = await probed(t, url);
  assert.equal(bare.peer.verdict.reason, "client_certificate_missing");
  assert.equal(bare.peer.steps.find(({ step }) => step === "checks")?.status, "warning");
  const dressed = await probed(t, url, "--context", "up", folder);
  assert.equal(dressed.code, 0);
  assert.equal(dressed.peer.presented[0]?.subject, "CN=gateway");
  const own = ["--cert", file("gateway.pem"), "--key", file("gateway.key"), "--ca", file("backend-ca.pem")];
  assert.equal((await probed(t, url, ...own)).code, 0);
  const strange = await probed(t, url, ...own.with(-1, file("edge-ca.pem")));
  assert.equal(strange.peer.verdict.reason, "issuer_unknown");
  const torn = await probed(t, url, ...own.with(3, file("alice.key")));
  assert.equal(torn.peer.verdict.reason, "key_mismatch");
  assert.equal(torn.peer.address, null);
});

test("a context that terminates TLS, met from the outside: whose certificate the gateway takes, and why not", async (t) => {
  const { folder, file } = await world(t);
  const { ready } = await startRun(t, folder);
  const address = ["--address", (ready.https ?? "").replace(/^https:\/\//, "")];
  const as = (name: string): string[] => ["--cert", file(`${name}.pem`), "--key", file(`${name}.key`)];
  const ca = ["--ca", file("edge-ca.pem")];
  const alice = await probed(t, "tlscontext/edge", folder, ...address, ...as("alice"), ...ca);
  assert.equal(alice.code, 0, JSON.stringify(alice.peer.verdict));
  assert.equal(alice.peer.side, "listener");
  assert.equal(alice.peer.accepted, true);
  assert.equal(alice.peer.certificates[0]?.subject, "CN=api.example");
  assert.deepEqual(alice.peer.asked?.authorities, ["CN=client CA"]);
  assert.deepEqual(alice.peer.verdict.notes, []);
  const mallory = await probed(t, "tlscontext/edge", folder, ...address, ...as("mallory"), ...ca);
  assert.equal(mallory.code, 1);
  assert.equal(mallory.peer.verdict.reason, "issuer_unknown");
  assert.equal(mallory.peer.verdict.step, "client");
  assert.equal(mallory.peer.accepted, false);
  assert.match(mallory.peer.verdict.change[0]?.says ?? "", /add the CA CN=edge CA/);
  assert.equal(mallory.peer.verdict.change[0]?.object, "secret/default/clients");
  const late = await probed(t, "tlscontext/edge", folder, ...address, ...as("late"), ...ca);
  assert.equal(late.peer.verdict.reason, "certificate_expired");
  assert.equal(late.peer.accepted, false);
  const nobody = await probed(t, "tlscontext/edge", folder, ...address, ...ca);
  assert.equal(nobody.peer.verdict.reason, "client_certificate_missing");
  assert.equal(nobody.peer.accepted, false);
  const torn = [...as("alice").with(3, file("mallory.key")), ...ca];
  assert.equal(
    (await probed(t, "tlscontext/edge", folder, ...address, ...torn)).peer.verdict.reason,
    "key_mismatch",
  );
  const lost = await probed(
    t,
    "tlscontext/edge",
    folder,
    ...address,
    ...as("alice"),
    ...ca,
    "--sni",
    "b.example",
  );
  assert.equal(lost.peer.verdict.reason, "sni_unknown");
  const doubtful = await probed(
    t,
    "tlscontext/edge",
    folder,
    ...address,
    ...as("alice"),
    "--ca",
    file("backend-ca.pem"),
  );
  assert.equal(doubtful.peer.verdict.reason, "issuer_unknown");
  assert.equal(doubtful.peer.verdict.step, "checks");
});

test("without a gateway that runs the client's certificate is judged all the same", async (t) => {
  const { folder, file } = await world(t);
  const late = await probed(t, "tlscontext/edge", folder, "--offline", "--cert", file("late.pem"));
  assert.equal(late.code, 1);
  assert.equal(late.peer.verdict.reason, "certificate_expired");
  assert.equal(late.peer.client?.checks.find(({ check }) => check === "dates")?.status, "failed");
  const alice = await probed(t, "tlscontext/edge", folder, "--offline", "--cert", file("alice.pem"));
  assert.equal(alice.code, 0);
  const gone = await probed(
    t,
    "tlscontext/edge",
    folder,
    "--address",
    "127.0.0.1:1",
    "--cert",
    file("alice.pem"),
  );
  assert.equal(gone.peer.verdict.reason, "connect_refused");
});

test("misuse exits 2, and says why", async (t) => {
  const { folder, file } = await world(t);
  const cases: readonly (readonly [args: readonly string[], said: RegExp])[] = [
    [["mapping/nobody", folder], /there is no mapping nobody .*; there are mapping\//],
    [["tlscontext/nobody", folder], /there is no TLSContext nobody; there are tlscontext\//],
    [["mapping/away", folder], /redirects/],
    [["service/good", folder], /neither a URL nor one of mapping\/NAME/],
    [["mapping/good"], /files or folders of YAML are needed/],
    [["mapping/good", folder, "--context", "up"], /--context is for a URL/],
    [["https://a.example", "--context", "nobody", folder], /nobody is not defined/],
    [["https://a.example", "--key", file("alice.key")], /--key needs --cert/],
    [["https://a.example", "--cert", file("alice.key")], /has no certificate in it/],
    [
      ["https://a.example", "--cert", file("alice.pem"), "--key", file("alice.pem")],
      /no private key that can be read/,
    ],
    [["https://a.example", "--cert", file("nowhere.pem")], /ENOENT/],
    [["mapping/good", folder, "--request", "hello"], /METHOD \/path/],
    [["tlscontext/edge", folder, "--address", "somewhere"], /IP address and a port/],
  ];
  await Promise.all(
    cases.map(async ([args, said]) => {
      const { code, stdout, stderr } = await credence(t, "probe", ...args);
      assert.equal(code, 2, `${args.join(" ")}: ${stdout}`);
      assert.match(stderr, said);
      assert.equal(stdout, "");
      assert.doesNotMatch(stderr, /PRIVATE KEY/);
    }),
  );
});

test("a TLSContext whose certificate an agent issues: asked for once, or said why there is none", async (t) => {
  const authority = await createAuthority("example.org");
  const api = await startWorkloadApi();
  t.after(() => api.close());
  const [backend, own] = await Promise.all([
    issueSvid(authority, "spiffe://example.org/backend"),
    issueSvid(authority, "spiffe://example.org/gateway"),
  ]);
  api.answer({ svids: [own] });
  const port = await upstream(t, {
    cert: backend.issued.certificate,
    key: backend.issued.privateKey,
    ca: authority.certificate,
    requestCert: true,
  });
  const folder = scratch(t, {
    "gateway.yaml": [
      tlsContextYaml("issued", { identity: { spiffe: { socket: api.path } } }),
      tlsContextYaml("nobody", { identity: { spiffe: { socket: "/nowhere/agent.sock" } } }),
      mappingYaml("issued", { prefix: "/issued/", service: `https://localhost:${port}`, tls: "issued" }),
      mappingYaml("nobody", { prefix: "/nobody/", service: `https://localhost:${port}`, tls: "nobody" }),
    ].join(""),
  });
  const issued = await probed(t, "mapping/issued", folder);
  assert.equal(issued.code, 0, JSON.stringify(issued.peer.verdict));
  assert.deepEqual(issued.peer.presented[0]?.uris, ["spiffe://example.org/gateway"]);
  assert.match(
    issued.peer.checks.find(({ check }) => check === "name")?.says ?? "",
    /spiffe:\/\/example\.org\/backend/,
  );
  const nobody = await probed(t, "mapping/nobody", folder);
  assert.equal(nobody.code, 1);
  assert.equal(nobody.peer.verdict.reason, "credential_unavailable");
  assert.match(nobody.peer.verdict.says, /\/nowhere\/agent\.sock/);
});
