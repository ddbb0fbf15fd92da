import assert from "node:assert/strict";
import type { IncomingMessage, RequestListener } from "node:http";
import { Agent, request } from "node:https";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { startUpstream, type UpstreamKind } from "../support/upstream.ts";
import { it } from "./engines.ts";

const CLIENTS = 24;
const REQUESTS = 12;
/** Less than one read, the edges of records and of what is gathered for a client, and more than that. */
const LENGTHS = [40_000, 65_536, 262_144, 393_216, 420_000, 450_000, 524_288, 600_001, 1_048_576, 3_000_000];

/** Every four bytes say whose they are, and which of its. */
function bodyOf(id: number, length: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let at = 0; at < words.length; at++) words[at] = id * 1_000_003 + at;
  return Buffer.from(words.buffer, 0, length);
}

/** `/ID/LENGTH/MODE`: that body, in one piece, in pieces with a length, chunked with a trailer, or cut in the middle. */
const answer: RequestListener = (asked, response) => {
  const [, id, length, mode] = (asked.url ?? "").split("/");
  const body = bodyOf(Number(id), Number(length));
  if (mode !== "chunked") response.setHeader("content-length", body.length);
  else response.setHeader("trailer", "x-id");
  if (mode === "whole") {
    response.end(body);
    return;
  }
  if (mode === "cut") {
    response.write(body.subarray(0, body.length / 2), () => response.destroy());
    return;
  }
  const step = 20_000 + (Number(id) % 7) * 9_999;
  let at = 0;
  const more = (): void => {
    const isFlowing = response.write(body.subarray(at, at + step));
    at += step;
    if (at < body.length) {
      if (isFlowing) setImmediate(more);
      else response.once("drain", more);
      return;
    }
    if (mode === "chunked") response.addTrailers({ "x-id": id ?? "" });
    response.end();
  };
  more();
};

for (const kind of ["mtls", "cleartext"] as const satisfies UpstreamKind[]) {
  it(`large bodies from a ${kind} upstream go to clients that take them at their own pace, each its own`, async () => {
    const { ca, server, client } = await certificates();
    const upstream = await startUpstream(kind, answer);
    const scheme = kind === "mtls" ? "https" : "http";
    const gateway = await startGateway({
      "secrets.yaml": [
        secretYaml("front", server),
        secretYaml("identity", { ...client, ca: ca.certificate }),
      ].join(""),
      "contexts.yaml": [
        tlsContextYaml("front", { hosts: ["localhost"], secret: "front" }),
        tlsContextYaml("peer", { hosts: [], secret: "identity", ca_secret: "identity", sni: "localhost" }),
      ].join(""),
      "m.yaml": mappingYaml("m", {
        prefix: "/",
        rewrite: "",
        service: `${scheme}://127.0.0.1:${upstream.port}`,
        timeout_ms: 60_000,
        connect_timeout_ms: 60_000,
        ...(kind === "mtls" ? { tls: "peer" } : {}),
      }),
    });
    const get = (id: number, length: number, mode: string, agent: Agent): Promise<IncomingMessage> =>
      new Promise((resolve, reject) => {
        const { httpsPort: port } = gateway;
        const path = `/${id}/${length}/${mode}`;
        request(
          { host: "127.0.0.1", port, path, servername: "localhost", ca: ca.certificate, agent },
          resolve,
        )
          .on("error", reject)
          .setHeader("host", "localhost")
          .end();
      });
    let id = 0;
    let compared = 0;
    const ask = async (nth: number, agent: Agent): Promise<void> => {
      const own = ++id;
      const length = LENGTHS[own % LENGTHS.length] as number;
      const mode = MODES[(own + nth) % MODES.length] as Mode;
      const expected = bodyOf(own, length);
      const response = await get(own, length, mode === "left" ? "pieces" : mode, agent);
      if (response.statusCode !== 200)
        assert.fail(`${response.statusCode}: ${JSON.stringify(await gateway.failure())}`);
      let at = 0;
      let isTorn = false;
      try {
        for await (const piece of response) {
          const chunk = piece as Buffer;
          const isOwn = chunk.equals(expected.subarray(at, at + chunk.length));
          assert.ok(isOwn, `request ${own}, ${mode}: other bytes from ${at} of ${length}`);
          at += chunk.length;
          if (mode === "left" && at > length / 3) response.destroy();
          // Every third client is slow.
          if (nth % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        }
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        isTorn = true;
      }
      if (mode === "left" || (mode === "cut" && isTorn)) return;
      assert.ok(
        mode !== "cut" && !isTorn && at === length,
        `request ${own}, ${mode}: ${at} of ${length} bytes`,
      );
      if (mode === "chunked") assert.equal(response.trailers["x-id"] ?? String(own), String(own));
      compared++;
    };
    try {
      const clients = Array.from({ length: CLIENTS }, async (_, nth) => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        for (let round = 0; round < REQUESTS; round++) await ask(nth, agent);
        agent.destroy();
      });
      await Promise.all(clients);
      assert.ok(compared > (CLIENTS * REQUESTS) / 3, `${compared} bodies were compared to their end`);
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  });
}

const MODES = ["whole", "pieces", "chunked", "whole", "pieces", "left", "cut"] as const;
type Mode = (typeof MODES)[number];
