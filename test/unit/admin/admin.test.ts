import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type IncomingHttpHeaders, request } from "node:http";
import { after, before, test } from "node:test";
import { registerGatewayMetrics } from "../../../src/admin/gateway-metrics.ts";
import { type AdminServer, createAdminServer } from "../../../src/admin/server.ts";
import { Control } from "../../../src/control/control.ts";
import { FailureHistory } from "../../../src/control/failures.ts";
import { Handshakes } from "../../../src/control/handshakes.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { diagnose } from "../../../src/diagnostics/catalogue.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { createAuthority, type IssuedCertificate } from "../../../src/x509/authority.ts";
import { FakeEngine } from "../control/fake-engine.ts";
import { mappings } from "../control/resources.ts";

const HOSTILE = `"><script>alert('x')</script>&\``;
const logger = createLogger("silent");
const store = new CredentialStore(systemClock);
const failures = new FailureHistory();
const handshakes = new Handshakes();
const engine = new FakeEngine();
const metrics = new Metrics();
const control = new Control({
  source: {
    load: async () => ({
      resources: mappings({ a: "/a/" }),
      complete: true,
      diagnostics: [
        diagnose("kind-unknown", {
          subject: { kind: "Mapping", namespace: HOSTILE, name: HOSTILE },
          source: { file: HOSTILE, line: 1, column: 2 },
          message: HOSTILE,
        }),
        diagnose("field-invalid", {
          subject: { kind: "Mapping", namespace: "default", name: "b" },
          message: "wrong",
        }),
      ],
    }),
  },
  store,
  engine,
  compileOptions: {
    engine: "node",
    address: "127.0.0.1",
  },
  onResources: async () => {},
  incompleteStart: "not-ready",
  logger,
});
let admin: AdminServer;
let port: number;
let issued: IssuedCertificate;
let ca: string;

before(async () => {
  registerGatewayMetrics(metrics, [{ control, store, handshakes }]);
  const authority = await createAuthority(`CA ${HOSTILE.replaceAll(",", "")}`);
  issued = await authority.issue({ commonName: "gateway", dnsNames: ["gateway.example"] });
  ({ certificate: ca } = authority);
  failures.add({
    id: "11111111-2222",
    time: new Date().toISOString(),
    route: `mapping/default/${HOSTILE}`,
    reason: "route_fails_closed",
    cause: HOSTILE,
    upstream: null,
  });
  handshakes.add({
    id: "33333333-4444",
    tlsVersion: "TLSv1.3",
    time: new Date().toISOString(),
    listener: "https",
    serverName: HOSTILE,
    client: "192.0.2.7",
    reason: "revoked",
    cause: HOSTILE,
  });
  admin = createAdminServer({
    address: "127.0.0.1",
    port: 0,
    planes: [{ control, store, failures, handshakes, engine }],
    metrics,
    clock: systemClock,
    logger,
  });
  port = (await admin.open()).port;
});

after(async () => {
  await admin.close();
  store.close();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (piece) => {
        body += piece;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    })
      .on("error", reject)
      .end();
  });
}

test("alive at once, ready once the first revision serves, and no longer while shutting down", async (t) => {
  assert.equal((await ask("/ambassador/v0/check_alive")).status, 200);
  const before = await ask("/ambassador/v0/check_ready");
  assert.equal(before.status, 503);
  assert.match(before.body, /no revision serves yet/);
  store.offer(
    "secret/default/a",
    { certificateChain: issued.certificate, privateKey: issued.privateKey, trustAnchors: ca },
    { subject: { kind: "Secret", namespace: "default", name: "a" } },
  );
  await control.reload();
  assert.equal((await ask("/ambassador/v0/check_ready")).status, 200);

  await t.test("metrics are Prometheus text", async () => {
    const { status, headers, body } = await ask("/metrics");
    assert.equal(status, 200);
    assert.match(headers["content-type"] ?? "", /^text\/plain; version=0\.0\.4/);
    assert.match(body, /^credence_ready 1$/m);
    assert.match(body, /^credence_revision 1$/m);
    assert.match(body, /^credence_diagnostics\{severity="error"\} 1$/m);
    assert.match(body, /^credence_credential_usable\{name="secret\/default\/a",kind="credential"\} 1$/m);
    assert.match(
      body,
      /^credence_certificate_not_after_seconds\{name="secret\/default\/a",kind="credential",position="0",subject="CN=gateway",serial="[0-9a-f]+"\} \d{10}$/m,
    );
  });

  await t.test("the report has the shape of the design, and no key", async () => {
    const { headers, body } = await ask("/ambassador/v0/diag/?json=true");
    assert.equal(headers["content-type"], "application/json");
    const report = JSON.parse(body);
    assert.equal(report.version, 1);
    assert.equal(report.revision, 1);
    assert.equal(report.diagnostics.length, 2);
    assert.deepEqual(
      report.certificates.map(({ name, kind, usable }: Record<string, unknown>) => [name, kind, usable]),
      [
        ["secret/default/a", "credential", true],
        ["secret/default/a", "trust", true],
      ],
    );
    const [leaf] = report.certificates[0].chain;
    assert.equal(leaf.subject, "CN=gateway");
    assert.deepEqual(leaf.dnsNames, ["gateway.example"]);
    assert.match(leaf.notAfter, /^\d{4}-\d\d-\d\dT/);
    assert.equal(report.failures[0].id, "11111111-2222");
    assert.equal(report.engines[0].name, "node");
    const [failed] = report.handshakes;
    assert.deepEqual([failed.listener, failed.client, failed.reason], ["https", "192.0.2.7", "revoked"]);
    assert.equal(failed.is, "a certificate of the peer's chain is revoked");
    assert.match(failed.remedy, /new certificate/);
    assert.match(
      (await ask("/metrics")).body,
      /handshake_failures_total\{direction="downstream",reason="revoked"\} 1/,
    );
    const secret = issued.privateKey.split("\n")[1] as string;
    for (const path of ["/ambassador/v0/diag/?json=true", "/ambassador/v0/diag/", "/metrics"]) {
      const page = (await ask(path)).body;
      assert.ok(!page.includes(secret) && !page.includes("PRIVATE KEY"), path);
    }
  });

  await t.test("findings are filtered, failures are looked up by id", async () => {
    const errors = JSON.parse((await ask("/ambassador/v0/diag/?json=true&filter=errors")).body);
    assert.deepEqual(
      errors.diagnostics.map(({ code }: { code: string }) => code),
      ["field-invalid"],
    );
    const found = JSON.parse((await ask("/ambassador/v0/diag/?json=true&failure=11111111-2222")).body);
    assert.equal(found.failures[0].reason, "route_fails_closed");
    const none = JSON.parse((await ask("/ambassador/v0/diag/?json=true&failure=nobody")).body);
    assert.deepEqual(none.failures, []);
    assert.match((await ask("/ambassador/v0/diag/?failure=nobody")).body, /No failure with this id is kept/);
  });

  await t.test("nothing on the page is markup that was not ours", async () => {
    const { body } = await ask(`/ambassador/v0/diag/?failure=${encodeURIComponent(HOSTILE)}`);
    const all = (await ask("/ambassador/v0/diag/")).body;
    for (const page of [body, all]) {
      assert.ok(!/<script/i.test(page));
      assert.ok(!page.includes("alert('x')"));
    }
    assert.match(all, /&#34;&#62;&#60;script&#62;/);
    assert.match(body, /value="&#34;&#62;/);
  });

  await t.test("the page's own style is the only thing its policy allows", async () => {
    const { headers, body } = await ask("/ambassador/v0/diag/");
    const style = /<style>(.*?)<\/style>/s.exec(body)?.[1] ?? "";
    const policy = headers["content-security-policy"] as string;
    const hash = createHash("sha256").update(style).digest("base64");
    assert.ok(policy.includes(`style-src 'sha256-${hash}'`), policy);
    assert.match(policy, /^default-src 'none'; .*frame-ancestors 'none'/);
    assert.equal(headers["x-content-type-options"], "nosniff");
    assert.equal(headers["cache-control"], "no-store");
  });

  control.stop();
  assert.equal((await ask("/ambassador/v0/check_ready")).status, 503);
});

test("read only: every other method is refused", async () => {
  for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
    const { status, headers } = await ask("/ambassador/v0/diag/", {}, method);
    assert.equal(status, 405, method);
    assert.equal(headers.allow, "GET, HEAD");
  }
  const head = await ask("/ambassador/v0/check_alive", {}, "HEAD");
  assert.deepEqual([head.status, head.body], [200, ""]);
});

test("a name that is not this machine's is refused, on every path", async () => {
  for (const host of [
    "evil.example",
    `evil.example:${port}`,
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "10.0.0.1",
    "[::2]",
    "127.0.0.1@evil.example",
  ]) {
    for (const path of ["/metrics", "/ambassador/v0/diag/?json=true", "/ambassador/v0/check_ready"]) {
      assert.equal((await ask(path, { host })).status, 403, `${host} ${path}`);
    }
  }
  for (const host of [
    "localhost",
    `LOCALHOST:${port}`,
    "127.0.0.1",
    `127.8.9.1:${port}`,
    "[::1]",
    `[::1]:${port}`,
  ]) {
    assert.equal((await ask("/ambassador/v0/check_alive", { host })).status, 200, host);
  }
});

test("unknown paths are not found, the root leads to the page", async () => {
  assert.equal((await ask("/ambassador/v0/diag/../../etc/passwd")).status, 404);
  assert.equal((await ask("//x")).status, 404);
  assert.equal((await ask("//ambassador/v0/check_alive")).status, 200);
  assert.equal((await ask("http://[")).status, 400);
  const root = await ask("/");
  assert.deepEqual([root.status, root.headers.location], [308, "/ambassador/v0/diag/"]);
  assert.equal(
    (await ask("/ambassador/v0/diag?json=true")).headers.location,
    "/ambassador/v0/diag/?json=true",
  );
});

test("where others may come in, any Host is theirs to choose", async () => {
  const open = createAdminServer({
    address: "0.0.0.0",
    port: 0,
    planes: [{ control, store, failures, handshakes, engine }],
    metrics,
    clock: systemClock,
    logger,
  });
  const own = port;
  port = (await open.open()).port;
  assert.equal((await ask("/ambassador/v0/check_alive", { host: "gateway.example" })).status, 200);
  port = own;
  await open.close();
});
