import { Agent, get } from "node:http";
import { Agent as TlsAgent, get as getSecurely } from "node:https";
import { type Latency, noLatency, record } from "./latency.ts";

export interface Load {
  /** Ends it when its last requests are answered, and tells how it went. */
  stop(): Promise<{
    readonly requests: number;
    readonly failures: readonly string[];
    readonly latency: Latency;
  }>;
}

/**
 * Constant load of `workers` clients on kept-alive connections. Whatever is not answered with 200 is a failure. `host`: the
 * name that is asked for, in TLS too, and whatever certificate shows up is taken. `pauseMs`: of each client after an answer. `now`: the
 * clock by which it took so long, in milliseconds.
 */
export function startLoad(
  url: string,
  workers: number,
  host?: string,
  pauseMs = 0,
  now: () => number = () => performance.now(),
): Load {
  const isSecure = url.startsWith("https:");
  const pool = { keepAlive: true, maxSockets: workers };
  const agent = isSecure ? new TlsAgent({ ...pool, rejectUnauthorized: false }) : new Agent(pool);
  const request = isSecure ? getSecurely : get;
  const named = host === undefined ? {} : { headers: { host }, servername: host };
  let stopped = false;
  let requests = 0;
  const failures: string[] = [];
  const latency = noLatency();
  const once = (): Promise<void> =>
    new Promise((resolve) => {
      const fail = (error: Error): void => {
        failures.push(error.message);
        resolve();
      };
      request(url, { agent, ...named }, (response) => {
        if (response.statusCode !== 200) failures.push(`status ${response.statusCode}`);
        response.resume().on("end", resolve).on("error", fail);
      }).on("error", fail);
    });
  const running = Array.from({ length: workers }, async () => {
    while (!stopped) {
      const began = now();
      await once();
      record(now() - began, latency);
      requests++;
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  });
  return {
    async stop() {
      stopped = true;
      await Promise.all(running);
      agent.destroy();
      return { requests, failures, latency };
    },
  };
}
