import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, it } from "node:test";
import { wireEnvoyGateway } from "../../../../../src/cli/envoy/wire.ts";
import type { Control } from "../../../../../src/control/control.ts";
import { findEnvoy } from "../../../../../src/engines/envoy/process/find.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";
import { mappingYaml } from "../../../../support/certificates.ts";
import { type DnsServer, startDnsServer } from "../../../../support/dns-server.ts";
import { startFleetOfOne } from "../../../../support/envoy-of-fleet.ts";
import { exchangeBytes } from "../../../../support/raw-client.ts";
import { until } from "../../../../support/until.ts";
import { startUpstream } from "../../../../support/upstream.ts";

interface Started {
  readonly dns: DnsServer;
  readonly control: Control;
  readonly log: readonly string[];
  /** The status line's first part. */
  ask(path: string): Promise<string>;
}

/** Credence asks DNS and tells Envoy, or Envoy asks itself as a fleet's do. */
const WAYS = { own: startOwn, "fleet's": startFleetOfOne };

async function startOwn(t: TestContext, yaml: string, dns: DnsServer) {
  const directory = mkdtempSync(join(tmpdir(), "credence-test-"));
  writeFileSync(join(directory, "all.yaml"), yaml);
  const log: string[] = [];
  const gateway = await wireEnvoyGateway({
    drainSeconds: 1,
    envoy: (await findEnvoy({ environment: process.env })).path,
    concurrency: 1,
    paths: [directory],
    dnsResolvers: [`${dns.address}:${dns.port}`],
    maxConnections: 100,
    ambassadorId: "default",
    compile: {
      engine: "envoy",
      address: "127.0.0.1",
      httpPort: 0,
      httpsPort: 0,
    },
    accessLog: false,
    incompleteStart: "not-ready",
    admin: { address: "127.0.0.1", port: 0 },
    logger: createLogger("warn", { write: (line: string) => log.push(line) }),
  });
  t.after(async () => {
    await gateway.shutDown(0);
    rmSync(directory, { recursive: true, force: true });
  });
  await gateway.control.reload();
  // Rejects after 30 s, and the gateway would end.
  await gateway.serving();
  return { control: gateway.control, log };
}

async function start(
  t: TestContext,
  way: keyof typeof WAYS,
  yaml: (port: number) => string,
): Promise<Started> {
  const dns = await startDnsServer({ "alive.example": ["127.0.0.1"] });
  dns.silent.set("lost.example", []);
  const upstream = await startUpstream("cleartext");
  t.after(async () => {
    await dns.close();
    await upstream.close();
  });
  const { control, log } = await WAYS[way](t, yaml(upstream.port), dns);
  const { port } = control.state.listeners[0] as { port: number };
  const ask = async (path: string): Promise<string> => {
    const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    return (await exchangeBytes(port, request)).slice(0, 12);
  };
  return { dns, control, log, ask };
}

/** Of a server that is asked again after two seconds, and given up after at least two more: whether nobody has waited for that. */
function assertNotWaitedFor(dns: DnsServer, served: number): void {
  const [first = 0] = dns.silent.get("lost.example") ?? [];
  assert.ok(first > 0 && served - first < 4_000, `${served - first} ms`);
}

const authService = (port: number): string =>
  mappingYaml("found", { prefix: "/found/", service: `127.0.0.1:${port}` }) +
  `---\n${JSON.stringify({
    apiVersion: "getambassador.io/v2",
    kind: "AuthService",
    metadata: { name: "auth" },
    spec: { auth_service: "lost.example:80", proto: "grpc", timeout_ms: 300 },
  })}\n`;

for (const way of ["own", "fleet's"] as const) {
  it(`a name that no DNS server answers for keeps nothing from being served, and answers 503 until it is there (${way})`, async (t) => {
    const { dns, log, ask, control } = await start(
      t,
      way,
      (port) =>
        mappingYaml("lost", { prefix: "/lost/", service: `lost.example:${port}` }) +
        mappingYaml("alive", { prefix: "/alive/", service: `alive.example:${port}` }) +
        mappingYaml("found", { prefix: "/found/", service: `127.0.0.1:${port}` }),
    );
    const served = performance.now();
    assert.equal(await ask("/found/"), "HTTP/1.1 200");
    assert.equal(await ask("/lost/"), "HTTP/1.1 503");
    await until(async () => (await ask("/alive/")) === "HTTP/1.1 200");
    assert.deepEqual(control.state.diagnostics, []);
    assertNotWaitedFor(dns, served);
    assert.equal(log.filter((line) => line.includes("names that DNS does not answer for")).length, 1);
    assert.equal(await ask("/lost/"), "HTTP/1.1 503");
    // It comes back as soon as it is asked about again.
    dns.silent.delete("lost.example");
    dns.names.set("lost.example", ["127.0.0.1"]);
    await until(async () => (await ask("/lost/")) === "HTTP/1.1 200", 30_000);
  });

  it(`where all names are answered for, nothing is taken away (${way})`, async (t) => {
    const { log, ask } = await start(t, way, (port) =>
      mappingYaml("alive", { prefix: "/alive/", service: `alive.example:${port}` }),
    );
    assert.equal(await ask("/alive/"), "HTTP/1.1 200");
    assert.ok(!log.some((line) => line.includes("names that DNS does not answer for")));
  });

  it(`a service that a filter names keeps nothing from being served either, and what it is asked about is refused (${way})`, async (t) => {
    const { dns, ask, control } = await start(t, way, authService);
    assertNotWaitedFor(dns, performance.now());
    assert.equal(await ask("/found/"), "HTTP/1.1 403");
    assert.deepEqual(
      control.state.diagnostics.filter(({ severity }) => severity === "error"),
      [],
    );
  });
}
