import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../../../support/certificates.ts";
import { type RunningGateway, startGateway } from "../../../support/gateway.ts";

async function handshakeFailures(gateway: RunningGateway): Promise<string[]> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  return text.split("\n").filter((line) => line.startsWith("credence_handshake_failures_total{"));
}

/** A server whose first `bad` handshakes are with a certificate of a CA that nobody trusts. */
async function startFickle(t: TestContext, bad: number): Promise<number> {
  const { server: identity, stranger } = await certificates();
  const strange = await stranger.issue({ commonName: "s", dnsNames: ["localhost"], usage: "server" });
  const shown = ({ certificate, privateKey }: typeof identity) => ({ cert: certificate, key: privateKey });
  const server = createServer(shown(strange), (_, response) => response.end("ok"));
  let connections = 0;
  server.prependListener("connection", () => {
    if (++connections === bad + 1) server.setSecureContext(shown(identity));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function startRetrying(t: TestContext, port: number): Promise<RunningGateway> {
  const { ca } = await certificates();
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", {
        ...{ prefix: "/", service: `https://localhost:${port}`, tls: "up" },
        retry_policy: { retry_on: "connect-failure", num_retries: 2 },
      }) +
      tlsContextYaml("up", { hosts: [], ca_secret: "ca" }) +
      secretYaml("ca", { certificate: ca.certificate }),
  });
  t.after(() => gateway.stop());
  return gateway;
}

test("a failed handshake that a retry makes up for is counted, and is no failed request", async (t) => {
  const gateway = await startRetrying(t, await startFickle(t, 2));
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/`);
  assert.equal(response.status, 200);
  assert.deepEqual(await handshakeFailures(gateway), [
    'credence_handshake_failures_total{direction="upstream",reason="issuer_unknown"} 2',
  ]);
  assert.deepEqual((await gateway.diag()).failures, []);
});

test("where no retry helps each try is counted once, and the request is one failure", async (t) => {
  const gateway = await startRetrying(t, await startFickle(t, 10));
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/`);
  assert.equal(response.status, 503);
  assert.deepEqual(await handshakeFailures(gateway), [
    'credence_handshake_failures_total{direction="upstream",reason="issuer_unknown"} 3',
  ]);
  assert.equal((await gateway.diag()).failures.length, 1);
});
