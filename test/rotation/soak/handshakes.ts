import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";

/** How a client meets the gateway: by this name, with this certificate, and trusting these roots. */
export interface Client {
  readonly host: string;
  readonly path: string;
  readonly own: IssuedCertificate;
  readonly anchors: readonly string[];
}

/** What the gateway showed, and the answer; or why there is none. */
export type Outcome =
  | { readonly serial: string; readonly status: number }
  | { readonly serial?: undefined; readonly failure: string };

/** A full handshake for one request. */
export function shakeHands(port: number, { host, path, own, anchors }: Client): Promise<Outcome> {
  return new Promise((resolve) => {
    request(
      {
        host: "127.0.0.1",
        port,
        path,
        servername: host,
        headers: { host },
        agent: false,
        ca: [...anchors],
        cert: own.certificate,
        key: own.privateKey,
        timeout: TIMEOUT_MS,
      },
      (response) => {
        const status = response.statusCode ?? 0;
        const shown = (response.socket as TLSSocket).getPeerX509Certificate();
        const serial = shown?.serialNumber.toLowerCase() ?? "";
        response.resume().on("end", () => resolve({ serial, status }));
      },
    )
      .on("error", (error) => resolve({ failure: error.message }))
      .on("timeout", () => resolve({ failure: "no answer" }))
      .end();
  });
}

export interface Handshakes {
  readonly made: number;
  stop(): Promise<{ readonly made: number; readonly failures: readonly string[] }>;
}

/** Clients that come and go, `each` of them the next one. Whatever is not answered with 200 is a failure. */
export function startHandshakes(port: number, each: () => Client, pauseMs: number): Handshakes {
  const failures: string[] = [];
  let made = 0;
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      const client = each();
      const outcome = await shakeHands(port, client);
      if (outcome.serial === undefined) failures.push(`${client.host}: ${outcome.failure}`);
      else if (outcome.status !== 200) failures.push(`${client.host}: status ${outcome.status}`);
      made++;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  })();
  return {
    get made() {
      return made;
    },
    async stop() {
      stopped = true;
      await running;
      return { made, failures };
    },
  };
}

const TIMEOUT_MS = 10_000;
