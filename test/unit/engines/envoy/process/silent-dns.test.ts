import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { wireEnvoyGateway } from "../../../../../src/cli/envoy/wire.ts";
import { findEnvoy } from "../../../../../src/engines/envoy/process/find.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";
import { mappingYaml } from "../../../../support/certificates.ts";
import { exchangeBytes } from "../../../../support/raw-client.ts";
import { startUpstream } from "../../../../support/upstream.ts";

it("a name that no DNS server answers for does not keep the others from being served", async () => {
  const silent = createSocket("udp4");
  await new Promise<void>((resolve) => silent.bind(0, "127.0.0.1", resolve));
  const upstream = await startUpstream("cleartext");
  const directory = mkdtempSync(join(tmpdir(), "credence-test-"));
  writeFileSync(
    join(directory, "all.yaml"),
    mappingYaml("lost", { prefix: "/lost/", service: "lost.example:80" }) +
      mappingYaml("found", { prefix: "/found/", service: `127.0.0.1:${upstream.port}` }),
  );
  const gateway = await wireEnvoyGateway({
    envoy: (await findEnvoy({ environment: process.env })).path,
    concurrency: 1,
    paths: [directory],
    dnsResolvers: [`127.0.0.1:${silent.address().port}`],
    maxConnections: 100,
    ambassadorId: "default",
    compile: {
      engine: "envoy",
      address: "127.0.0.1",
      httpPort: 0,
      httpsPort: 0,
      requireUpstreamVerification: false,
      allowUnenforced: false,
    },
    accessLog: false,
    allowPartial: false,
    admin: { address: "127.0.0.1", port: 0 },
    logger: createLogger("silent"),
  });
  try {
    await gateway.control.reload();
    // Rejects after 30 s, and the gateway would end.
    await gateway.serving();
    const { port } = gateway.control.state.listeners[0] as { port: number };
    const ask = (path: string): Promise<string> =>
      exchangeBytes(port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    assert.match(await ask("/found/"), /^HTTP\/1.1 200/);
    assert.match(await ask("/lost/"), /^HTTP\/1.1 503/);
  } finally {
    await gateway.shutDown(0);
    silent.close();
    await upstream.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
