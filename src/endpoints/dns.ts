import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { DnsFailure, type Endpoint, type EndpointReader } from "./endpoint.ts";

export interface DnsContext {
  readonly clock: Clock;
  readonly logger?: Logger;
  /** Every address of a host; rejects with a `code` such as ENOTFOUND. Default: the system's resolver. */
  readonly lookup?: (host: string) => Promise<readonly LookupAddress[]>;
}

/**
 * Addresses by the system's resolver (getaddrinfo: hosts file, search domains and ndots as everywhere on the machine).
 * It tells no TTL, so an answer counts as fresh for 5 s; an older one is used while it is asked for again, and for 5
 * minutes while the resolver fails. A failure is remembered for 1 s where there is no older answer: getaddrinfo holds one
 * of four threads, and names that do not resolve must not keep the others waiting. There are no timers.
 */
export function createDnsEndpoints(context: DnsContext): EndpointReader {
  const { clock, logger } = context;
  const ask = context.lookup ?? ((host: string) => lookup(host, { all: true }));
  const names = new Map<string, Name>();

  const refresh = (host: string, name: Name): Promise<readonly string[]> => {
    name.asking ??= ask(host).then(
      (found) => {
        name.asking = null;
        if (found.length === 0) return failed(host, name, "ENODATA");
        name.addresses = preferred(found);
        name.answeredAt = name.triedAt = clock.now();
        name.failure = null;
        name.endpoints.clear();
        return name.addresses;
      },
      (error: NodeJS.ErrnoException) => {
        name.asking = null;
        return failed(host, name, error.code ?? "unknown");
      },
    );
    return name.asking;
  };

  const failed = (host: string, name: Name, code: string): never => {
    name.triedAt = clock.now();
    name.failure = new DnsFailure(host, code);
    logger?.debug({ host, code }, "DNS look-up failed");
    throw name.failure;
  };

  return {
    resolve(host, port) {
      if (isIP(host) !== 0) return [{ address: host, port }];
      let name = names.get(host);
      if (name === undefined) {
        // Names come from configuration, so this bound is only ever met by revisions long gone.
        const [oldest] = names.keys();
        if (oldest !== undefined && names.size >= MAX_NAMES) names.delete(oldest);
        name = {
          addresses: [],
          answeredAt: 0,
          triedAt: 0,
          failure: null,
          asking: null,
          endpoints: new Map(),
        };
        names.set(host, name);
      }
      const known = name;
      const now = clock.now();
      const usable = known.addresses.length > 0 && isWithin(STALE_MS, known.answeredAt, now);
      if (usable) {
        if (!isWithin(FRESH_MS, known.triedAt, now)) refresh(host, known).catch(() => undefined);
        return endpointsOf(known, port);
      }
      if (known.failure !== null && isWithin(FAILURE_MS, known.triedAt, now)) {
        return Promise.reject(known.failure);
      }
      return refresh(host, known).then(() => endpointsOf(known, port));
    },
  };
}

interface Name {
  addresses: readonly string[];
  answeredAt: number;
  triedAt: number;
  /** Of the last attempt; null when it succeeded. */
  failure: DnsFailure | null;
  asking: Promise<readonly string[]> | null;
  /** By port, so that a request allocates nothing. */
  readonly endpoints: Map<number, readonly Endpoint[]>;
}

const FRESH_MS = 5_000;
const STALE_MS = 300_000;
const FAILURE_MS = 1_000;
const MAX_NAMES = 10_000;

/** A moment that lies ahead means that the clock was set back: it counts as long ago. */
function isWithin(milliseconds: number, moment: number, now: number): boolean {
  return now >= moment && now - moment < milliseconds;
}

function endpointsOf(name: Name, port: number): readonly Endpoint[] {
  let endpoints = name.endpoints.get(port);
  if (endpoints === undefined) {
    endpoints = name.addresses.map((address) => ({ address, port }));
    name.endpoints.set(port, endpoints);
  }
  return endpoints;
}

/** 1.14 dials IPv4 unless told otherwise (`enable_ipv4`); IPv6 is for hosts that have nothing else. */
function preferred(found: readonly LookupAddress[]): string[] {
  const ipv4 = found.filter(({ family }) => family === 4);
  return [...new Set((ipv4.length > 0 ? ipv4 : found).map(({ address }) => address))].sort();
}
