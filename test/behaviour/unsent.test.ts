import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { mappingYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { parseAnswers } from "../support/raw-client.ts";
import { startRawUpstream } from "../support/upstream.ts";

// Of the embedded engine: what an upstream says on a pooled connection in the moment in which a request is about to go out
// on it. All peers are in this process, so that the gateway finds both in the same turn of its event loop.

const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

const EVENTS: Readonly<Record<string, (socket: Socket) => void>> = {
  "says more than it was asked for": (socket) => socket.write(ok("evil")),
  "says that it has waited long enough": (socket) =>
    socket.end("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
  ends: (socket) => socket.end(),
  resets: (socket) => socket.resetAndDestroy(),
};
const BODY = "Content-Length: 4\r\n\r\nbody";
const REQUESTS: readonly (readonly [head: string, body: string])[] = [
  ["GET /up/2 HTTP/1.1\r\nHost: localhost\r\n", "\r\n"],
  ["POST /up/2 HTTP/1.1\r\nHost: localhost\r\n", BODY],
];

for (const [event, happens] of Object.entries(EVENTS)) {
  for (const [head, rest] of REQUESTS) {
    const method = head.slice(0, head.indexOf(" "));
    test(`an idle upstream ${event}: the ${method} that has not gone out goes out on another connection, once`, async (context) => {
      const said: string[] = [];
      const sockets: Socket[] = [];
      const upstream = await startRawUpstream((socket) => {
        const connection = sockets.push(socket);
        socket.on("data", (chunk) => {
          said.push(`${connection} ${chunk.toString("latin1")}`);
          socket.write(ok(`answer ${said.length}`));
        });
      });
      context.after(() => upstream.close());
      const gateway = await startGateway(
        { "m.yaml": mappingYaml("m", { prefix: "/up/", service: `127.0.0.1:${upstream.port}` }) },
        { engine: "node" },
      );
      context.after(() => gateway.stop());
      const client = connect(gateway.httpPort, "127.0.0.1");
      context.after(() => client.destroy());
      let received = "";
      const answers = async (count: number): Promise<string[]> => {
        while (parseAnswers(received).length < count)
          received += String((await once(client, "data", { signal: AbortSignal.timeout(30_000) }))[0]);
        return parseAnswers(received).map(({ body }) => body);
      };
      client.write("GET /up/1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.deepEqual(await answers(1), ["answer 1"]);

      client.write(head + rest);
      happens(sockets[0] as Socket);
      assert.deepEqual(await answers(2), ["answer 1", "answer 2"]);
      client.write("GET /up/3 HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.deepEqual(await answers(3), ["answer 1", "answer 2", "answer 3"]);

      assert.deepEqual(
        said.map((text) => /^\d+ [A-Z]+ \S+/.exec(text)?.[0]),
        ["1 GET /1", `2 ${method} /2`, "2 GET /3"],
      );
      assert.equal(said[1]?.endsWith(rest === BODY ? "\r\n\r\nbody" : "\r\n\r\n"), true);
    });
  }
}
