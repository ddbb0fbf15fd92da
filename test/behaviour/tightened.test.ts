import assert from "node:assert/strict";
import { connect } from "node:net";
import { mappingYaml, moduleYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { startUpstream } from "../support/upstream.ts";
import { authServiceYaml } from "./auth-setup.ts";
import { describe, it } from "./engines.ts";

const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
/** Of a client that goes on asking: far below the half minute for which an Envoy may keep a changed listener's connections. */
const LONGEST_MS = 8000;

/** A client that never lets go of its connection, whatever it is told. */
async function stubborn(port: number): Promise<{ ask(): Promise<string | null>; end(): void }> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  let isClosed = false;
  let wake = (): void => {};
  socket.on("data", (piece) => {
    received += piece.toString("latin1");
    wake();
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    isClosed = true;
    wake();
  });
  return {
    /** The head of the answer; null: the connection is closed. */
    async ask() {
      received = "";
      if (!isClosed) socket.write(REQUEST);
      while (!isClosed && !received.includes("\r\n\r\n"))
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return received === "" ? null : (received.split("\r\n\r\n")[0] as string);
    },
    end: () => void socket.destroy(),
  };
}

describe("a connection that is kept while access is tightened", () => {
  for (const [what, status, tighten] of [
    ["an AuthService", 401, (port: number) => authServiceYaml("auth", { auth_service: `localhost:${port}` })],
    ["ip_deny", 403, () => moduleYaml({ ip_deny: [{ peer: "127.0.0.1" }] })],
  ] as const) {
    it(`does not get past it: ${what}`, async () => {
      const upstream = await startUpstream("cleartext");
      const auth = await startUpstream("cleartext", (_, response) => response.writeHead(401).end());
      const open = mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}` });
      const gateway = await startGateway({ "a.yaml": open });
      const client = await stubborn(gateway.httpPort);
      try {
        assert.match((await client.ask()) ?? "", /^HTTP\/1.1 200/);
        await gateway.replace("a.yaml", open + tighten(auth.port));
        const end = performance.now() + LONGEST_MS;
        for (;;) {
          const head = await client.ask();
          if (head === null || head.startsWith(`HTTP/1.1 ${status}`)) break;
          // The filters that it came in by are a listener's on Envoy. It is told to leave at once, and made to.
          assert.match(head, /^connection: close$/im, "it may not go on as before");
          assert.ok(performance.now() < end, "it goes on, whatever it was told");
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      } finally {
        client.end();
        await gateway.stop();
        await Promise.all([upstream.close(), auth.close()]);
      }
    });
  }
});
