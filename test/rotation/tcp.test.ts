import assert from "node:assert/strict";
import { test } from "node:test";
import { certificates, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { startGateway } from "../support/gateway.ts";
import { converseOn, echoing, eventually, startByteServer, tcpMappingYaml } from "../support/tcp.ts";

test("on Envoy a TCPMapping's connections of a rotated credential have the drain time, and no others end", async (t) => {
  const { ca, client } = await certificates();
  const [mtls, plain] = await Promise.all([
    startByteServer("mtls", echoing("mtls")),
    startByteServer("cleartext", echoing("plain")),
  ]);
  const [port, otherPort] = [await freePort(), await freePort()];
  const secrets = (issued: typeof client): string =>
    secretYaml("client", { ...issued }) + secretYaml("ca", { ca: ca.certificate });
  const gateway = await startGateway(
    {
      "tcp.yaml":
        tlsContextYaml("upstream", { secret: "client", ca_secret: "ca" }) +
        tcpMappingYaml("m", { port, service: `localhost:${mtls.port}`, tls: "upstream" }) +
        tcpMappingYaml("other", { port: otherPort, service: `127.0.0.1:${plain.port}` }),
      "secrets.yaml": secrets(client),
    },
    { engine: "envoy", limits: { retireMs: 1000 } },
  );
  t.after(async () => {
    await gateway.stop();
    mtls.close();
    plain.close();
  });
  const [old, other] = [await converseOn(port), await converseOn(otherPort)];
  assert.equal(mtls.clients.at(-1)?.subject, "CN=gateway");
  const rotated = performance.now();
  await gateway.replace("secrets.yaml", secrets(await ca.issue({ commonName: "next", usage: "client" })));
  while (mtls.clients.at(-1)?.subject !== "CN=next" && performance.now() < rotated + 20_000)
    (await converseOn(port)).socket.destroy();
  assert.equal(mtls.clients.at(-1)?.subject, "CN=next");
  const young = await converseOn(port);
  old.socket.write(" still here");
  await eventually(() => old.received() === "mtls:hello still here", "the old connection's echo");
  await eventually(() => old.closed() !== null, "the end of its grace");
  assert.ok(performance.now() - rotated >= 1000);
  for (const each of [young, other]) {
    each.socket.write(" again");
    await eventually(() => each.received().endsWith("hello again"), "an echo");
    assert.equal(each.closed(), null);
    each.socket.destroy();
  }
});
