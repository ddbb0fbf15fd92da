import type { LookupAddress, RecordWithTtl } from "node:dns";
import { lookup, resolve4, resolve6 } from "node:dns/promises";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { EndpointReader } from "./endpoint.ts";
import {
  type FoundAddress,
  type NameContext,
  profileOf,
  type ResolvedName,
  resolvedName,
} from "./resolved-name.ts";

export interface DnsContext {
  readonly clock: Clock;
  readonly logger?: Logger;
  /** Every address of a host; rejects with a `code` such as ENOTFOUND. Default: the system's resolver. */
  readonly lookup?: (host: string) => Promise<readonly LookupAddress[]>;
  /** A host's records of one family with their TTLs, as the name servers have them. */
  readonly records?: (host: string, family: 4 | 6) => Promise<readonly RecordWithTtl[]>;
}

/**
 * Addresses by the system's resolver (getaddrinfo: hosts file, search domains and ndots as everywhere on the machine), asked
 * as they are needed: an answer that is not fresh is used while it is asked for again (resolved-name.ts). A failure is
 * remembered for 1 s where there is no older answer: getaddrinfo holds one of four threads, and names that do not resolve
 * must not keep the others waiting. There are no timers.
 *
 * It tells no TTL. With `respectTtl` the name servers are asked as well, and an address that they gave too is fresh for as
 * long as they say.
 */
export function createDnsEndpoints({ clock, logger, ...context }: DnsContext): EndpointReader {
  const ask = context.lookup ?? ((host: string) => lookup(host, { all: true }));
  const records = context.records ?? recordsOf;
  const names: NameContext = {
    clock,
    logger,
    lookup: (host) => ask(host),
    ttls: async (host, { family }) => {
      const families = family === "v6" ? ([6] as const) : ([4, 6] as const);
      const told = await Promise.all(families.map((each) => records(host, each).catch(() => [])));
      return told.flat().map(({ address, ttl }): FoundAddress => ({ address, family: 0, ttl }));
    },
  };
  /** By what is asked for: the settings make another name of it. */
  const profiles = Array.from({ length: PROFILES }, () => new Map<string, ResolvedName>());

  return {
    resolve(host, port, dns) {
      const profile = profileOf(dns);
      const known = profiles[profile] as Map<string, ResolvedName>;
      let name = known.get(host);
      if (name === undefined) {
        // Names come from configuration, so this bound is only ever met by revisions long gone.
        const [oldest] = known.keys();
        if (oldest !== undefined && known.size >= MAX_NAMES) known.delete(oldest);
        name = resolvedName(host, dns, names, (each) => profiles[each]?.get(host));
        known.set(host, name);
      }
      if (name.isUsable) {
        if (name.restMs === 0) name.ask().catch(() => undefined);
        return name.at(port);
      }
      const { failure } = name;
      if (failure !== null) return Promise.reject(failure);
      const asked = name;
      return asked.ask().then(() => asked.at(port));
    },
  };
}

const MAX_NAMES = 10_000;
const PROFILES = 12;

function recordsOf(host: string, family: 4 | 6): Promise<readonly RecordWithTtl[]> {
  return family === 4 ? resolve4(host, { ttl: true }) : resolve6(host, { ttl: true });
}
