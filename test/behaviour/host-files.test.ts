import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificates, mappingYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import { startUpstream } from "../support/upstream.ts";
import { it } from "./engines.ts";

it("a Host's certificate may come from files", async () => {
  const { ca, server } = await certificates();
  const upstream = await startUpstream("cleartext");
  const folder = mkdtempSync(join(tmpdir(), "credence-host-"));
  writeFileSync(join(folder, "tls.crt"), server.certificate);
  writeFileSync(join(folder, "tls.key"), server.privateKey);
  const spec = {
    hostname: "shop.example",
    tls: { certChainFile: join(folder, "tls.crt"), private_key_file: join(folder, "tls.key") },
  };
  const host = { apiVersion: "getambassador.io/v2", kind: "Host", metadata: { name: "shop" }, spec };
  const gateway = await startGateway({
    "host.yaml": JSON.stringify(host),
    "mapping.yaml": mappingYaml("all", { prefix: "/", service: `localhost:${upstream.port}` }),
  });
  try {
    const request = "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    const tls = { ca: ca.certificate, servername: "shop.example" };
    const answers = parseAnswers(await exchangeBytes(gateway.httpsPort, request, { tls }));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200],
    );
  } finally {
    await gateway.stop();
    await upstream.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
