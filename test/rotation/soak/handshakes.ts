import { request } from "node:https";
import type { World } from "./world.ts";

export interface Handshakes {
  stop(): Promise<{ readonly made: number; readonly failures: readonly string[] }>;
}

/**
 * Clients that come and go: a full handshake for each request, with a certificate of the world's, and the gateway's is
 * verified against the roots that the world trusts at the time.
 */
export function startHandshakes(port: number, host: string, world: World): Handshakes {
  const failures: string[] = [];
  let made = 0;
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      const failure = await once(port, host, world);
      if (failure !== null) failures.push(failure);
      made++;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await running;
      return { made, failures };
    },
  };
}

/** A handshake costs more than what is looked at here. */
const PAUSE_MS = 5;
const TIMEOUT_MS = 5_000;

function once(port: number, host: string, { anchors, server: own }: World): Promise<string | null> {
  return new Promise((resolve) => {
    request(
      {
        host: "127.0.0.1",
        port,
        servername: host,
        headers: { host },
        agent: false,
        ca: [...anchors],
        cert: own.certificate,
        key: own.privateKey,
        timeout: TIMEOUT_MS,
      },
      (response) => {
        const { statusCode } = response;
        response.resume().on("end", () => resolve(statusCode === 200 ? null : `status ${statusCode}`));
      },
    )
      .on("error", (error) => resolve(error.message))
      .on("timeout", () => resolve("no answer"))
      .end();
  });
}
