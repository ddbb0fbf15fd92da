import { execFile } from "node:child_process";
import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { PEER_CORE, type Running } from "./processes.ts";
import { IDENTITY, IDENTITY_PATH, LARGE_BODY, SMALL_BODY } from "./upstream.ts";

/** One way of asking; a column of the table. */
export interface Load {
  readonly name: "small" | "large" | "connections";
  readonly title: string;
  readonly path: string;
  readonly body: Buffer;
  readonly connections: number;
  readonly headers: Readonly<Record<string, string>>;
}

export const LOADS: readonly Load[] = [
  { name: "small", title: "small body", path: "/small", body: SMALL_BODY, connections: 64, headers: {} },
  { name: "large", title: "1 MiB body", path: "/large", body: LARGE_BODY, connections: 16, headers: {} },
  {
    name: "connections",
    title: "new connections",
    path: "/small",
    body: SMALL_BODY,
    connections: 64,
    headers: { Connection: "close" },
  },
];

export interface Sample {
  readonly requests: number;
  /** Answers other than 2xx, and connections that broke. */
  readonly failed: number;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly perCpuSecond: number;
}

/** Drives the proxy with wrk and weighs what it did against the CPU time that it took. */
export async function measure(proxy: Running, port: number, load: Load, seconds: number): Promise<Sample> {
  await wrk(port, load, WARM_UP_SECONDS);
  const cpuBefore = proxy.cpuSeconds();
  const wallBefore = performance.now();
  const { requests, refused, broken } = await wrk(port, load, seconds);
  const cpuSeconds = proxy.cpuSeconds() - cpuBefore;
  const wallSeconds = (performance.now() - wallBefore) / 1000;
  const perCpuSecond = (requests - refused) / cpuSeconds;
  return { requests, failed: refused + broken, cpuSeconds, wallSeconds, perCpuSecond };
}

/** The upstream must insist on a client certificate, else nobody knows what the proxies behind it show. */
export async function verifyUpstream(port: number, ca: string): Promise<void> {
  const { status } = await answering(port, ca);
  if (status !== 400) throw new Error(`without a client certificate it answers ${status}, not 400`);
}

/**
 * Waits until the proxy answers, then holds it to 200 and the right body for every load, and to the client certificate;
 * returns the TLS it speaks.
 */
export async function verify(port: number, ca: string): Promise<string> {
  const identity = await answering(port, ca);
  if (!identity.body.equals(IDENTITY)) {
    throw new Error(
      `the upstream saw no client certificate, or another's: ${identity.body.subarray(0, 200)}`,
    );
  }
  for (const load of LOADS) {
    const answer = await ask(port, ca, load.path, load.headers);
    if (answer.status !== 200 || !answer.body.equals(load.body)) {
      throw new Error(
        `${load.path}: status ${answer.status}, ${answer.body.length} bytes: not the right answer`,
      );
    }
    // Else wrk would go on with the same connection, and new ones would not be what is measured.
    if ("Connection" in load.headers && answer.connection !== "close") {
      throw new Error(`${load.title}: the answer says Connection: ${answer.connection}`);
    }
  }
  return identity.tls;
}

const run = promisify(execFile);
const WARM_UP_SECONDS = 2;
const START_MS = 10_000;

interface Counts {
  readonly requests: number;
  readonly refused: number;
  readonly broken: number;
}

async function wrk(port: number, load: Load, seconds: number): Promise<Counts> {
  const headers = Object.entries(load.headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const { stdout } = await run("taskset", [
    ...["-c", String(PEER_CORE), "wrk", "-t", "1", "-c", String(load.connections), "-d", `${seconds}s`],
    ...[...headers, `https://localhost:${port}${load.path}`],
  ]);
  const requests = Number(/(\d+) requests in /.exec(stdout)?.[1] ?? Number.NaN);
  if (!(requests > 0)) throw new Error(`wrk got no answers:\n${stdout}`);
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0);
  const broken = /Socket errors: (.*)/.exec(stdout)?.[1]?.match(/\d+/g) ?? [];
  return { requests, refused, broken: broken.reduce((sum, count) => sum + Number(count), 0) };
}

interface Answer {
  readonly status: number | undefined;
  readonly connection: string | undefined;
  readonly body: Buffer;
  readonly tls: string;
}

/** Asks for the identity until there is an answer. */
async function answering(port: number, ca: string): Promise<Answer> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      return await ask(port, ca, IDENTITY_PATH, {});
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function ask(port: number, ca: string, path: string, headers: Load["headers"]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        servername: "localhost",
        port,
        path,
        ca,
        headers: { Host: `localhost:${port}`, ...headers },
        agent: false,
      },
      (response) => {
        const socket = response.socket as TLSSocket;
        const tls = `${socket.getProtocol()} ${socket.getCipher().name}`;
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode,
            connection: response.headers.connection?.toLowerCase(),
            body: Buffer.concat(chunks),
            tls,
          }),
        );
      },
    );
    sent.setTimeout(5000, () => sent.destroy(new Error("no answer within 5 s")));
    sent.on("error", reject);
    sent.end();
  });
}
