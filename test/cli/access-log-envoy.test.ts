import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { issueCa } from "../support/issuing.ts";
import { startUpstream } from "../support/upstream.ts";
import { type Credence, eventually, fetchText, scratch, startRun } from "./credence.ts";

interface Line {
  readonly method: string;
  readonly path: string;
  readonly route: string | null;
  readonly failure: string | null;
  readonly handshake: string | null;
  readonly failure_id: string | null;
  readonly revision: number | null;
}

function lines(run: Credence): Line[] {
  return run.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Line);
}

/** What a line that need not be read looks like, said by a client. */
const SPOOFED = '/none/?"response_flags":"-","response_details":"via_upstream"';
const DEAD = "127.0.0.1:1";

test("lines of Envoy's have the reasons that the diagnostics page has, and the revision", async (t) => {
  const stranger = issueCa({ subject: "Stranger" });
  const untrusted = await startUpstream("tls");
  const own404 = createServer((_, response) => response.writeHead(404).end());
  await new Promise<void>((resolve) => own404.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    own404.close();
    await untrusted.close();
  });
  const found = `127.0.0.1:${(own404.address() as AddressInfo).port}`;
  const folder = scratch(t, {
    "a.yaml":
      mappingYaml("found", { prefix: "/found/", service: found }) +
      mappingYaml("closed", { prefix: "/closed/", service: "https://localhost:1", tls: "nobody" }) +
      mappingYaml("dead", { prefix: "/dead/", service: DEAD }) +
      mappingYaml("lost", { prefix: "/lost/", service: "nobody.invalid:80" }) +
      mappingYaml("untrusted", {
        prefix: "/untrusted/",
        service: `https://localhost:${untrusted.port}`,
        tls: "up",
      }) +
      tlsContextYaml("up", { hosts: [], ca_secret: "ca" }) +
      secretYaml("ca", { certificate: stranger.pem }),
  });
  const { process: run, ready } = await startRun(t, folder, "--engine", "envoy", "--envoy-concurrency", "1");
  const expected = [
    ["/found/", null, null],
    ["/closed/", "route_fails_closed", null],
    ["/dead/", "upstream_connect_refused", "connect_refused"],
    ["/lost/", "upstream_dns_failure", "dns_failure"],
    ["/untrusted/", "upstream_certificate_untrusted", "issuer_unknown"],
    ["/none/", "no_route", null],
    [SPOOFED, "no_route", null],
  ] as const;
  for (const [path] of expected) await rawGet(ready.http, path);
  await eventually(() => lines(run).length >= expected.length);
  assert.deepEqual(
    lines(run).map(({ path, failure, handshake }) => [path, failure, handshake]),
    expected.map((each) => [...each]),
  );
  assert.ok(lines(run).every(({ revision }) => revision === 1));
  // Told twice, by the log and by the stream of failures: in the same words.
  const page = JSON.parse((await fetchText(`http://${ready.admin}/ambassador/v0/diag/?json=true`)).body) as {
    engines: unknown;
    failures: readonly { id: string; reason: string; handshake?: string }[];
  };
  const failed = lines(run).filter(({ failure }) => failure !== null);
  for (const { failure, handshake, failure_id } of failed) {
    const record = page.failures.find(({ id }) => id === failure_id);
    assert.deepEqual([record?.reason, record?.handshake ?? null], [failure, handshake]);
  }
  const metrics = (await fetchText(`http://${ready.admin}/metrics`)).body;
  for (const reason of ["connect_refused", "dns_failure", "issuer_unknown"])
    assert.match(
      metrics,
      new RegExp(`^credence_handshake_failures_total\\{direction="upstream",reason="${reason}"\\} 1$`, "m"),
    );

  writeFileSync(join(folder, "b.yaml"), mappingYaml("later", { prefix: "/later/", service: found }));
  await eventually(async () => {
    await rawGet(ready.http, "/later/");
    return lines(run).some(({ path, revision }) => path === "/later/" && revision === 2);
  });
  run.child.kill("SIGTERM");
  const before = lines(run).length;
  assert.equal((await run.ended).code, 0);
  assert.ok(lines(run).length >= before);
});

test("a connection of a TCPMapping that came to nothing has its reasons too", async (t) => {
  const port = await freePort();
  const folder = scratch(t, {
    "a.yaml": `apiVersion: getambassador.io/v2
kind: TCPMapping
metadata: { name: dead }
spec: { port: ${port}, service: "${DEAD}" }
`,
  });
  const { process: run } = await startRun(t, folder, "--engine", "envoy", "--envoy-concurrency", "1");
  await new Promise<void>((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined).on("close", () => resolve());
    socket.resume();
  });
  await eventually(() => lines(run).length >= 1);
  const [line] = lines(run);
  assert.deepEqual(
    [line?.method, line?.route, line?.failure, line?.handshake, line?.revision],
    ["TCP", "tcpmapping/default/dead", "upstream_connect_refused", "connect_refused", 1],
  );
});

/** As it is, quotes and all. */
function rawGet(address: string, path: string): Promise<void> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.on("error", () => undefined).on("close", () => resolve());
    socket.resume().write(`GET ${path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n`);
  });
}
