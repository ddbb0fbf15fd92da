import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";
import { type Latency, noLatency, record } from "../../support/latency.ts";

/** How a client meets the gateway: by this name, with this certificate, and trusting these roots. */
export interface Client {
  readonly host: string;
  readonly path: string;
  readonly own: IssuedCertificate;
  readonly anchors: readonly string[];
  /** The serial number that the gateway has to show now; null: a rotation is under way. */
  readonly inEffect: () => string | null;
}

/** What the gateway showed, and the answer; or why there is none. */
export type Outcome =
  | { readonly serial: string; readonly status: number }
  | { readonly serial?: undefined; readonly failure: string };

/** Nobody said anything: neither an answer nor a refusal. */
export const SILENCE = "no answer";

/** How handshakes ended, and how long they took with the request that each was for. */
export class Tally {
  readonly latency: Latency = noLatency();
  /** The clock by which they took so long, in milliseconds. */
  readonly now: () => number;
  readonly #counts = new Map<string, number>();

  constructor(now: () => number) {
    this.now = now;
  }

  count(outcome: Outcome): void {
    const how = outcome.serial === undefined ? outcome.failure : `status ${outcome.status}`;
    this.#counts.set(how, (this.#counts.get(how) ?? 0) + 1);
  }

  /** The most frequent first. */
  describe(): string {
    const all = [...this.#counts].sort(([, one], [, other]) => other - one);
    return all.map(([how, count]) => `${count} ${how}`).join(", ");
  }
}

/** A full handshake for one request. */
export async function shakeHands(port: number, client: Client, tally: Tally): Promise<Outcome> {
  const began = tally.now();
  const outcome = await outcomeOf(port, client);
  record(tally.now() - began, tally.latency);
  tally.count(outcome);
  return outcome;
}

function outcomeOf(port: number, { host, path, own, anchors }: Client): Promise<Outcome> {
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
      .on("error", (error: NodeJS.ErrnoException) => resolve({ failure: error.code ?? error.message }))
      .on("timeout", () => resolve({ failure: SILENCE }))
      .end();
  });
}

export interface Handshakes {
  readonly made: number;
  stop(): Promise<{ readonly made: number; readonly failures: readonly string[] }>;
}

/**
 * Clients that come and go, `each` of them the next one. Whatever is not answered with 200 is a failure, and so is a credential
 * that is shown after another has taken effect.
 */
export function startHandshakes(port: number, each: () => Client, pauseMs: number, tally: Tally): Handshakes {
  const failures: string[] = [];
  let made = 0;
  let stopped = false;
  const running = (async () => {
    while (!stopped) {
      const client = each();
      const due = client.inEffect();
      const outcome = await shakeHands(port, client, tally);
      if (outcome.serial === undefined) failures.push(`${client.host}: ${outcome.failure}`);
      else if (outcome.status !== 200) failures.push(`${client.host}: status ${outcome.status}`);
      else if (due !== null && due === client.inEffect() && outcome.serial !== due)
        failures.push(`${client.host}: ${outcome.serial} is shown, when ${due} is in effect`);
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
