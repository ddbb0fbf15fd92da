import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { it } from "node:test";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { eventually } from "../support/tcp.ts";
import { startUpstream } from "../support/upstream.ts";

// The node engine keeps the previous revision whole where a port of the next one is taken: reload.test.ts.

async function status(gateway: RunningGateway, path: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}${path}`);
  await response.text();
  return response.status;
}

it("on Envoy a port that is taken costs its listener alone, and no request that is under way", async () => {
  const release: (() => void)[] = [];
  const arrived = Promise.withResolvers<void>();
  const upstream = await startUpstream("cleartext", (request, response) => {
    if (request.url !== "/slow") return void response.end("quick");
    release.push(() => response.end("slow"));
    arrived.resolve();
  });
  const taken = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  const { server } = await certificates();
  const mapping = (prefix: string): string =>
    mappingYaml("m", { prefix, service: `localhost:${upstream.port}`, timeout_ms: 0 });
  const gateway = await startGateway({ "a.yaml": mapping("/before/") }, { engine: "envoy" });
  const codes = async (): Promise<string[]> => (await gateway.diag()).diagnostics.map(({ code }) => code);
  try {
    const running = status(gateway, "/before/slow");
    await arrived.promise;
    await gateway.replace(
      "a.yaml",
      mapping("/after/") +
        tlsContextYaml("a", { hosts: ["a.example"], secret: "server", redirect_cleartext_from: port }) +
        tlsContextYaml("b", { hosts: ["*"], secret: "server" }) +
        secretYaml("server", server),
    );
    assert.deepEqual(await codes(), ["listener-port-unavailable"]);
    assert.equal(gateway.gateway.control.state.revision?.number, 2);
    for (const answer of release) answer();
    assert.equal(await running, 200);

    await new Promise((resolve) => taken.close(resolve));
    // By itself, soon.
    const { control } = gateway.gateway;
    await eventually(() => control.state.listeners.some((one) => one.port === port), "the port", 20_000);
    assert.deepEqual(await codes(), []);
    assert.equal(control.revision, 2);
    const redirected = await fetch(`http://127.0.0.1:${port}/x`, { redirect: "manual" });
    assert.equal(redirected.status, 301);
  } finally {
    taken.close();
    await gateway.stop();
    await upstream.close();
  }
});
