import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { mappingYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { until } from "../support/until.ts";
import { startRawUpstream } from "../support/upstream.ts";
import { it } from "./engines.ts";

const SHORT_MS = 300;
const LONG_MS = 600_000;

interface Wait {
  /** What a request waits for. */
  readonly name: string;
  /** Once something has come. Default: nothing. */
  readonly says?: (socket: Socket) => void;
  readonly scheme?: "https://";
  readonly spec?: Readonly<Record<string, unknown>>;
  /** The status that ends it; null: its response has begun, and is cut. */
  readonly ends: number | null;
}

const WAITS: readonly Wait[] = [
  { name: "a-handshake", scheme: "https://", spec: { connect_timeout_ms: SHORT_MS }, ends: 503 },
  { name: "a-handshake-of-a-patient-cluster", scheme: "https://", spec: { timeout_ms: SHORT_MS }, ends: 504 },
  {
    name: "the-only-connection",
    spec: { timeout_ms: SHORT_MS, circuit_breakers: [{ max_connections: 1 }] },
    ends: 504,
  },
  { name: "an-answer", spec: { timeout_ms: SHORT_MS }, ends: 504 },
  {
    name: "a-head",
    says: (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-"),
    spec: { timeout_ms: SHORT_MS },
    ends: 504,
  },
  {
    name: "a-body",
    says: (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
    spec: { timeout_ms: SHORT_MS },
    ends: null,
  },
  { name: "the-end-of-a-body", says: drip, spec: { timeout_ms: SHORT_MS }, ends: null },
];

it("a request ends in its time, whatever it waits for", async () => {
  const asked: string[] = [];
  const upstreams = await Promise.all(
    WAITS.map(({ name, says }) =>
      startRawUpstream((socket) =>
        socket.once("data", () => {
          asked.push(name);
          says?.(socket);
        }),
      ),
    ),
  );
  const yaml = WAITS.map(({ name, scheme = "", spec }, index) => {
    const service = `${scheme}localhost:${upstreams[index]?.port}`;
    const patient = { service, connect_timeout_ms: LONG_MS, timeout_ms: LONG_MS };
    return (
      mappingYaml(name, { ...patient, ...spec, prefix: `/${name}/` }) +
      mappingYaml(`before-${name}`, { ...patient, ...spec, prefix: `/before/${name}/`, timeout_ms: LONG_MS })
    );
  });
  const gateway = await startGateway({ "all.yaml": yaml.join("") });
  const ask = (path: string, signal: AbortSignal): Promise<Response> =>
    fetch(`http://127.0.0.1:${gateway.httpPort}/${path}/`, { signal });
  const holding = new AbortController();
  try {
    const held = ask("before/the-only-connection", holding.signal).catch(() => null);
    await until(() => asked.includes("the-only-connection"));
    const ends = WAITS.map(async ({ name }) => {
      const response = await ask(name, AbortSignal.timeout(LATE_MS));
      return [name, response.status === 200 ? await response.text().catch(cutOf) : response.status];
    });
    assert.deepEqual(
      await Promise.all(ends),
      WAITS.map(({ name, ends: expected }) => [name, expected]),
    );
    assert.equal(
      asked.filter((name) => name === "the-only-connection").length,
      1,
      "the other one never had it",
    );
    holding.abort();
    await held;
  } finally {
    holding.abort();
    await gateway.stop();
    for (const each of upstreams) each.close();
  }
});

/** On a machine that is busy, too. */
const LATE_MS = 30_000;

/** Null: the other side has cut it. */
function cutOf(error: Error): string | null {
  return error.name === "TimeoutError" ? "it has no end" : null;
}

function drip(socket: Socket): void {
  socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
  const timer = setInterval(() => socket.write("x"), 20);
  socket.on("close", () => clearInterval(timer));
}
