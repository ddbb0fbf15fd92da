import assert from "node:assert/strict";
import { certificates, mappingYaml, secretYaml } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";
import { after, before, it } from "./engines.ts";

let upstream: Upstream;
let gateway: RunningGateway;
let port: number;

before(async () => {
  upstream = await startUpstream("cleartext");
  port = await freePort();
  const { server } = await certificates();
  gateway = await startGateway({
    "case.yaml":
      mappingYaml("all", { prefix: "/", service: `localhost:${upstream.port}` }) +
      host("here", { action: "Route", additionalPort: port }) +
      host("redirected", { action: "Redirect", additionalPort: port }) +
      host("elsewhere", { action: "Route", additionalPort: 8080 }) +
      secretYaml("server", server),
  });
});
after(async () => {
  await gateway.stop();
  await upstream.close();
});

function host(name: string, insecure: Record<string, unknown>): string {
  const spec = {
    hostname: `${name}.example`,
    tlsSecret: { name: "server" },
    requestPolicy: { insecure },
  };
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind: "Host", metadata: { name }, spec })}\n`;
}

async function statusOf(name: string, at: number): Promise<number | undefined> {
  const received = await exchangeBytes(at, `GET / HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
  return parseAnswers(received)[0]?.status;
}

it("a Host is routed in cleartext on its own port, and not on the http listener", async () => {
  assert.equal(await statusOf("here.example", port), 200);
  assert.equal(await statusOf("here.example", gateway.httpPort), 400);
});

it("each Host has its own policy on a port that they share", async () => {
  assert.equal(await statusOf("redirected.example", port), 301);
});

it("8080 is the http listener whatever its port, and other ports answer nothing for the Host", async () => {
  assert.equal(await statusOf("elsewhere.example", gateway.httpPort), 200);
  assert.equal(await statusOf("elsewhere.example", port), 400);
});

it("a port goes when no Host asks for it any more", async () => {
  const { server } = await certificates();
  await gateway.replace(
    "case.yaml",
    mappingYaml("all", { prefix: "/", service: `localhost:${upstream.port}` }) +
      host("here", { action: "Route" }) +
      secretYaml("server", server),
  );
  assert.equal(await statusOf("here.example", port), undefined);
  assert.equal(await statusOf("here.example", gateway.httpPort), 200);
});
