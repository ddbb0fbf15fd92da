import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { connect as connectTls } from "node:tls";
import fc from "../support/fast-check.ts";
import { resetSocket } from "../../src/engines/node/upstream/connection.ts";
import { authServiceYaml } from "../behaviour/auth-setup.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { until } from "../support/until.ts";
import { cut, cuts } from "./cuts.ts";
import { readAll, talk } from "./pipeline-client.ts";
import { requests, SHOWN_BYTES, written } from "./pipeline-requests.ts";
import { type Seen, startLenient, startRecorder, WAYS } from "./pipeline-upstream.ts";

// Of the embedded engine: clients and upstreams that go away at any moment leave nothing behind. What is counted comes to
// nothing again, and as many requests as the circuit breakers let pass are served.

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 40);
const MOST = 24;
const seen: Seen[] = [];
let gateways: RunningGateway[] = [];
let stop: () => Promise<void>;
/** After how many turns upstream connections go, by their number; 0: never. */
let upstreamsGo: readonly number[] = [];
let upstreamCount = 0;
let ca: string;

before(async () => {
  const { ca: authority, server } = await certificates();
  ca = authority.certificate;
  const goes = (socket: Socket): void => {
    const turns = upstreamsGo[upstreamCount++ % Math.max(1, upstreamsGo.length)] ?? 0;
    if (turns > 0) void afterTurns(turns).then(() => (turns % 2 === 0 ? resetSocket(socket) : socket.end()));
  };
  const plain = await startRecorder(seen, null, goes);
  const tls = await startRecorder(seen, { cert: server.certificate, key: server.privateKey }, goes);
  const authorizer = await startLenient(seen);
  const rule = {
    rewrite: "/",
    timeout_ms: 30_000,
    retry_policy: { retry_on: "5xx", num_retries: 2 },
    circuit_breakers: [
      { max_connections: MOST, max_pending_requests: MOST, max_requests: MOST, max_retries: MOST },
    ],
  };
  const yaml =
    secretYaml("ca", { ca }) +
    tlsContextYaml("upstream", { ca_secret: "ca", sni: "localhost" }) +
    mappingYaml("plain", { ...rule, prefix: "/plain/", service: `127.0.0.1:${plain.port}` }) +
    mappingYaml("tls", {
      ...rule,
      prefix: "/tls/",
      service: `https://localhost:${tls.port}`,
      tls: "upstream",
    });
  const secure =
    secretYaml("server", server) +
    tlsContextYaml("server", { hosts: ["localhost"], secret: "server" }) +
    authServiceYaml("auth", {
      auth_service: `127.0.0.1:${authorizer.port}`,
      include_body: { max_bytes: SHOWN_BYTES, allow_partial: true },
    });
  gateways = await Promise.all(
    ["", secure].map((more) => startGateway({ "all.yaml": yaml + more }, { engine: "node" })),
  );
  stop = async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    plain.close();
    tls.close();
    authorizer.close();
  };
});

after(() => stop());

async function afterTurns(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** A way to a port that can be reset below a TLS connection. */
async function relay(port: number): Promise<{ port: number; reset(): void }> {
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    reset.push(near, far);
    for (const socket of [near, far]) socket.on("error", () => {});
    near.on("close", () => far.destroy());
    near.pipe(far).pipe(near);
    server.close();
  });
  const reset: Socket[] = [];
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    reset: () => reset.forEach((socket) => void socket.resetAndDestroy()),
  };
}

/** Says the pieces, and goes after so many turns, whatever has come by then: by an end or a reset. */
async function leave(isSecure: boolean, pieces: readonly Buffer[], turns: number): Promise<void> {
  const [cleartext, terminating] = gateways as [RunningGateway, RunningGateway];
  const { port, reset } = await relay(isSecure ? terminating.httpsPort : cleartext.httpPort);
  const socket = isSecure
    ? connectTls({ port, host: "127.0.0.1", servername: "localhost", ca })
    : connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, isSecure ? "secureConnect" : "connect");
  // Some do not read.
  if (turns % 3 !== 0) socket.resume();
  const gone = afterTurns(turns).then(() => {
    if (turns % 2 !== 0) reset();
    socket.destroy();
  });
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await afterTurns(1);
  }
  await gone;
}

test("who goes away leaves nothing behind", async () => {
  const client = fc.record({
    saids: fc.array(
      requests(WAYS, ["plain", "tls"], fc.boolean(), fc.oneof(fc.nat(60), fc.constant(100_000))),
      { minLength: 1, maxLength: 2 },
    ),
    isSecure: fc.boolean(),
    where: cuts,
    turns: fc.integer({ min: 1, max: 30 }),
  });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(client, { minLength: 4, maxLength: 16 }),
      fc.array(fc.nat(12), { minLength: 1, maxLength: 8 }),
      async (clients, goes) => {
        upstreamsGo = goes;
        run++;
        await Promise.all(
          clients.map(({ saids, isSecure, where, turns }, index) => {
            const text = saids.map((said, nth) => written(said, `${run}-${index}-${nth}`).text).join("");
            return leave(isSecure, cut(text, where), turns);
          }),
        );
      },
    ),
    { numRuns: RUNS },
  );

  upstreamsGo = [];
  const gauges = ["credence_connections_open 0\n", "credence_requests_in_flight 0\n"];
  for (const [at, gateway] of gateways.entries()) {
    await until(async () => {
      const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
      return gauges.every((gauge) => metrics.includes(gauge));
    });
    const isSecure = at === 1;
    for (const upstream of ["plain", "tls"]) {
      const ask = async (way: string, nth: number): Promise<number | undefined> => {
        const bytes = Buffer.from(
          `GET /${upstream}/${way}/end-${at}-${nth} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
        );
        const text = isSecure
          ? await talk(gateway.httpsPort, [bytes], { ca, servername: "localhost" })
          : await talk(gateway.httpPort, [bytes], null);
        return readAll(text, ["GET"])[0]?.status;
      };
      for (const way of ["sized", "second-try"]) {
        const statuses = await Promise.all(Array.from({ length: MOST }, (_, nth) => ask(way, nth)));
        assert.deepEqual(statuses, new Array(MOST).fill(200), `${upstream} ${way}`);
      }
    }
  }
});
