import assert from "node:assert/strict";
import { test } from "node:test";
import { startAuthWorld } from "../../behaviour/auth-setup.ts";
import { startRawUpstream } from "../../support/upstream.ts";

for (const [how, status] of [
  ["ends", 200],
  ["is reset", 502],
] as const) {
  test(`an answer without a length whose connection ${how}: ${status}`, async (context) => {
    const service = await startRawUpstream((socket) =>
      socket.once("data", () =>
        socket.write("HTTP/1.1 200 OK\r\n\r\nhalf", () => {
          // What has been written is read before.
          setTimeout(() => (how === "ends" ? socket.end() : socket.resetAndDestroy()), 50);
        }),
      ),
    );
    context.after(() => service.close());
    const world = await startAuthWorld(undefined, {
      auth_service: `localhost:${service.port}`,
      status_on_error: { code: 502 },
    });
    context.after(() => world.stop());
    const [answer] = await world.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert.equal(answer?.status, status);
    assert.equal(world.upstream.seen.length, status === 200 ? 1 : 0);
  });
}
