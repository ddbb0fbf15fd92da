import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { mappingYaml } from "../../support/certificates.ts";
import { startGateway } from "../../support/gateway.ts";
import { until } from "../../support/until.ts";
import { startRawUpstream } from "../../support/upstream.ts";

test("a body that stands still ends the request by whom it waits for: 408 for the client, 504 for the upstream", async () => {
  const sockets: Socket[] = [];
  const upstream = await startRawUpstream((socket) => {
    socket.pause();
    sockets.push(socket);
  });
  const gateway = await startGateway(
    { "all.yaml": mappingYaml("a", { prefix: "/", service: `127.0.0.1:${upstream.port}` }) },
    { engine: "node", limits: { bodyTimeoutMs: 300 } },
  );
  const post = async (length: number, body: Buffer): Promise<string> => {
    const client = connect(gateway.httpPort, "127.0.0.1");
    client.on("error", () => undefined);
    let said = "";
    client.on("data", (bytes) => {
      said += bytes.toString("latin1");
    });
    client.write(`POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`);
    client.write(body);
    await until(() => said.includes("\r\n\r\n"));
    client.destroy();
    return said.slice(0, 12);
  };
  try {
    assert.equal(await post(100, Buffer.from("half")), "HTTP/1.1 408");
    // More than the sockets on the way hold.
    assert.equal(await post(64 * 1024 * 1024, Buffer.alloc(64 * 1024 * 1024)), "HTTP/1.1 504");
    const { failures } = await gateway.diag();
    assert.deepEqual(
      failures.map(({ reason, cause }) => [reason, cause]),
      [
        ["upstream_response_timeout", "the upstream takes no more of the request body"],
        ["request_timeout", "the request body stalled"],
      ],
    );
  } finally {
    await gateway.stop();
    for (const socket of sockets) socket.destroy();
    upstream.close();
  }
});
