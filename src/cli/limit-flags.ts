import { type Command, Option } from "commander";
import { DEFAULT_LIMITS, type Limits } from "../engines/node/limits.ts";
import { positiveNumber } from "./flag-values.ts";

/** Flags for the bounds of the data plane, as commander names them. */
export interface LimitFlags {
  readonly maxConnections: number;
  readonly maxRequests: number;
  readonly maxUpstreamConnections: number;
  readonly maxHeadKib: number;
  readonly maxHeaders: number;
  readonly handshakeTimeout: number;
  readonly headTimeout: number;
  readonly bodyTimeout: number;
  readonly idleTimeout: number;
  readonly upstreamIdleTimeout: number;
  readonly tunnelIdleTimeout: number;
}

/** A flag for each bound, with the engine's default. */
export function addLimitFlags(command: Command): void {
  for (const [flag, limit, unit, description] of TABLE) {
    command.addOption(
      new Option(`${flagText(flag)} <${unit}>`, description)
        .argParser(positiveNumber)
        .default(DEFAULT_LIMITS[limit] / FACTORS[unit])
        .helpGroup("Limits:"),
    );
  }
}

/** Of all flags, or of those named. */
export function limitsOf(flags: LimitFlags, only?: readonly (keyof LimitFlags)[]): Partial<Limits> {
  const taken = TABLE.filter(([flag]) => only === undefined || only.includes(flag));
  return Object.fromEntries(taken.map(([flag, limit, unit]) => [limit, flags[flag] * FACTORS[unit]]));
}

/** Limits that were given another value than the default, by the names of their flags. */
export function changedLimits(flags: LimitFlags): (keyof LimitFlags)[] {
  return TABLE.filter(([flag, limit, unit]) => flags[flag] !== DEFAULT_LIMITS[limit] / FACTORS[unit]).map(
    ([flag]) => flag,
  );
}

/** A flag as it is written on the command line: `--max-head-kib`. */
export function flagText(flag: keyof LimitFlags): string {
  return `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** From the flag's unit to the limit's. */
const FACTORS = { n: 1, kib: 1024, seconds: 1000 } as const;

const TABLE: readonly (readonly [
  flag: keyof LimitFlags,
  limit: keyof Limits,
  unit: keyof typeof FACTORS,
  description: string,
])[] = [
  ["maxConnections", "maxConnections", "n", "client connections at once; more are closed as they come"],
  ["maxRequests", "maxRequestsInFlight", "n", "requests in flight at once; more get 503"],
  ["maxUpstreamConnections", "maxUpstreamConnections", "n", "connections to one cluster; more get 503"],
  ["maxHeadKib", "maxHeadBytes", "kib", "size of a request or response head"],
  ["maxHeaders", "maxHeaders", "n", "field lines in a head"],
  ["handshakeTimeout", "handshakeTimeoutMs", "seconds", "for a TLS handshake to end"],
  ["headTimeout", "headTimeoutMs", "seconds", "for a request head to arrive"],
  ["bodyTimeout", "bodyTimeoutMs", "seconds", "between two pieces of a body"],
  ["idleTimeout", "idleTimeoutMs", "seconds", "for a client connection between two requests"],
  ["upstreamIdleTimeout", "upstreamIdleMs", "seconds", "for an upstream connection between two requests"],
  ["tunnelIdleTimeout", "tunnelIdleMs", "seconds", "for an upgraded connection on which neither side speaks"],
];
