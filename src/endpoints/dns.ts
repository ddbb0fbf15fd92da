import type { LookupAddress, RecordWithTtl } from "node:dns";
import { lookup, resolve4, resolve6 } from "node:dns/promises";
import { isIP } from "node:net";
import type { DnsSettings } from "../model/cluster.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { DnsFailure, type Endpoint, type EndpointReader } from "./endpoint.ts";

export interface DnsContext {
  readonly clock: Clock;
  readonly logger?: Logger;
  /** Every address of a host; rejects with a `code` such as ENOTFOUND. Default: the system's resolver. */
  readonly lookup?: (host: string) => Promise<readonly LookupAddress[]>;
  /** A host's records of one family with their TTLs, as the name servers have them. */
  readonly records?: (host: string, family: 4 | 6) => Promise<readonly RecordWithTtl[]>;
}

/**
 * Addresses by the system's resolver (getaddrinfo: hosts file, search domains and ndots as everywhere on the machine).
 * It tells no TTL, so an answer counts as fresh for 5 s; an older one is used while it is asked for again, and for 5
 * minutes while the resolver fails. A failure is remembered for 1 s where there is no older answer: getaddrinfo holds one
 * of four threads, and names that do not resolve must not keep the others waiting. There are no timers.
 *
 * With `respectTtl` the name servers are asked as well, and an address that they gave too is fresh for as long as they say.
 */
export function createDnsEndpoints(context: DnsContext): EndpointReader {
  const { clock, logger } = context;
  const ask = context.lookup ?? ((host: string) => lookup(host, { all: true }));
  const records = context.records ?? recordsOf;
  /** By what is asked for: the settings make another name of it. */
  const profiles = Array.from({ length: PROFILES }, () => new Map<string, Name>());

  const refresh = (host: string, name: Name): Promise<readonly string[]> => {
    name.asking ??= ask(host).then(
      (found) => {
        name.asking = null;
        const addresses = wanted(found, name.dns);
        if (addresses.length === 0) return failed(host, name, "ENODATA");
        name.answeredAt = name.triedAt = clock.now();
        name.freshMs = FRESH_MS;
        name.failure = null;
        if (addresses.join() !== name.addresses.join()) {
          name.addresses = addresses;
          name.endpoints.clear();
        }
        if (name.dns?.respectTtl === true) void heedTtl(host, name);
        return name.addresses;
      },
      (error: NodeJS.ErrnoException) => {
        name.asking = null;
        return failed(host, name, error.code ?? "unknown");
      },
    );
    return name.asking;
  };

  /** Nobody waits for it: name servers that are slow, or that the system does not ask, only leave the 5 s as they are. */
  const heedTtl = async (host: string, name: Name): Promise<void> => {
    const { answeredAt, addresses } = name;
    const families = name.dns?.family === "v6" ? ([6] as const) : ([4, 6] as const);
    const told = await Promise.all(families.map((family) => records(host, family).catch(() => [])));
    const ttls = told.flat().filter(({ address }) => addresses.includes(address));
    const seconds = Math.min(...ttls.map(({ ttl }) => ttl));
    if (name.answeredAt === answeredAt && Number.isFinite(seconds) && seconds > 0)
      name.freshMs = seconds * 1000;
  };

  const failed = (host: string, name: Name, code: string): never => {
    name.triedAt = clock.now();
    name.freshMs = FRESH_MS;
    name.failure = new DnsFailure(host, code);
    logger?.debug({ host, code }, "DNS look-up failed");
    throw name.failure;
  };

  return {
    resolve(host, port, dns) {
      const names = profiles[profileOf(dns)] as Map<string, Name>;
      let name = names.get(host);
      if (name === undefined) {
        // Names come from configuration, so this bound is only ever met by revisions long gone.
        const [oldest] = names.keys();
        if (oldest !== undefined && names.size >= MAX_NAMES) names.delete(oldest);
        name = newName(host, dns);
        names.set(host, name);
      }
      if (name.literal) return endpointsOf(name, port);
      const known = name;
      const now = clock.now();
      const usable =
        known.addresses.length > 0 && isWithin(Math.max(STALE_MS, known.freshMs), known.answeredAt, now);
      if (usable) {
        if (!isWithin(known.freshMs, known.triedAt, now)) refresh(host, known).catch(() => undefined);
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
  readonly dns: DnsSettings | undefined;
  /** It is an address: there is nothing to ask. */
  readonly literal: boolean;
  addresses: readonly string[];
  answeredAt: number;
  triedAt: number;
  /** For how long the last answer need not be asked for again. */
  freshMs: number;
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

function newName(host: string, dns: DnsSettings | undefined): Name {
  const literal = isIP(host) !== 0;
  return {
    dns,
    literal,
    addresses: literal ? [host] : [],
    answeredAt: 0,
    triedAt: 0,
    freshMs: FRESH_MS,
    failure: null,
    asking: null,
    endpoints: new Map(),
  };
}

const PROFILES = 12;

function profileOf(dns: DnsSettings | undefined): number {
  if (dns === undefined) return 0;
  const family = dns.family === undefined ? 0 : dns.family === "v6" ? 1 : 2;
  return family * 4 + (dns.respectTtl === true ? 2 : 0) + (dns.logical === true ? 1 : 0);
}

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

/**
 * 1.14 dials IPv4 unless told otherwise, and IPv6 before IPv4 where both are enabled. Without `enable_ipv6`, IPv6 is for
 * hosts that have nothing else; without `enable_ipv4` there is nothing else.
 */
function wanted(found: readonly LookupAddress[], dns: DnsSettings | undefined): string[] {
  const of = (family: number): string[] => [
    ...new Set(found.filter((each) => each.family === family).map(({ address }) => address)),
  ];
  const [ipv4, ipv6] = [of(4), of(6)];
  const addresses =
    dns?.family === "v6" ? ipv6 : dns?.family === "both" ? either(ipv6, ipv4) : either(ipv4, ipv6);
  // The resolver's order is what logical_dns goes by; otherwise one answer in another order is the same answer.
  return dns?.logical === true ? addresses.slice(0, 1) : addresses.sort();
}

function either(first: string[], second: string[]): string[] {
  return first.length > 0 ? first : second;
}

function recordsOf(host: string, family: 4 | 6): Promise<readonly RecordWithTtl[]> {
  return family === 4 ? resolve4(host, { ttl: true }) : resolve6(host, { ttl: true });
}
