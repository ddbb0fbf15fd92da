import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { DnsFailure, type Endpoint, type EndpointReader } from "./endpoint.ts";

/**
 * Addresses by the system's resolver (getaddrinfo: hosts file, search domains and ndots as everywhere on the machine).
 * It tells no TTL, so an answer counts as fresh for 5 s; an older one is used while it is asked for again, and for 5
 * minutes while the resolver fails.
 */
export function createDnsEndpoints(context: { clock: Clock; logger?: Logger }): EndpointReader {
  const names = new Map<string, Name>();

  const refresh = (host: string, name: Name): Promise<readonly string[]> => {
    name.asking ??= lookup(host, { all: true }).then(
      (found) => {
        name.asking = null;
        name.addresses = preferred(found);
        name.answeredAt = name.triedAt = context.clock.now();
        name.endpoints.clear();
        return name.addresses;
      },
      (error: NodeJS.ErrnoException) => {
        name.asking = null;
        name.triedAt = context.clock.now();
        context.logger?.debug({ host, code: error.code }, "DNS look-up failed");
        throw new DnsFailure(host, error.code ?? "unknown");
      },
    );
    return name.asking;
  };

  return {
    resolve(host, port) {
      if (isIP(host) !== 0) return [{ address: host, port }];
      let name = names.get(host);
      if (name === undefined) {
        // Names come from configuration, so this bound is only ever met by revisions long gone.
        if (names.size >= MAX_NAMES) names.clear();
        name = { addresses: [], answeredAt: 0, triedAt: 0, asking: null, endpoints: new Map() };
        names.set(host, name);
      }
      const known = name;
      const now = context.clock.now();
      const usable = known.addresses.length > 0 && now - known.answeredAt < STALE_MS;
      if (!usable) return refresh(host, known).then(() => endpointsOf(known, port));
      if (now - known.triedAt >= FRESH_MS) refresh(host, known).catch(() => undefined);
      return endpointsOf(known, port);
    },
  };
}

interface Name {
  addresses: readonly string[];
  answeredAt: number;
  triedAt: number;
  asking: Promise<readonly string[]> | null;
  /** By port, so that a request allocates nothing. */
  readonly endpoints: Map<number, readonly Endpoint[]>;
}

const FRESH_MS = 5_000;
const STALE_MS = 300_000;
const MAX_NAMES = 10_000;

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
