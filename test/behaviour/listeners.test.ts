import assert from "node:assert/strict";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import { startUpstream } from "../support/upstream.ts";
import { it } from "./engines.ts";

it("a listener that goes and comes again serves what it is to serve now", async () => {
  const upstream = await startUpstream("cleartext");
  const { ca, server } = await certificates();
  const world = (host: string): string =>
    tlsContextYaml("server", { hosts: [host], secret: "server" }) +
    secretYaml("server", server) +
    mappingYaml("m", { prefix: "/", service: `127.0.0.1:${upstream.port}` });
  const gateway = await startGateway({ "world.yaml": world("one.example") });
  const statusOf = async (host: string): Promise<number | undefined> => {
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
    const tls = { ca: ca.certificate, servername: host };
    return parseAnswers(await exchangeBytes(gateway.httpsPort, request, { tls }))[0]?.status;
  };
  try {
    assert.equal(await statusOf("one.example"), 200);
    await gateway.replace("world.yaml", "");
    assert.equal(gateway.httpsPort, 0);
    await gateway.replace("world.yaml", world("two.example"));
    assert.equal(await statusOf("two.example"), 200);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});
