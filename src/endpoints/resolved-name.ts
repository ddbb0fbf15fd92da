import type { LookupAddress } from "node:dns";
import { isIP } from "node:net";
import type { DnsSettings } from "../model/cluster.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { DnsFailure, type Endpoint } from "./endpoint.ts";

/** An address, and for how many seconds it holds where that is known. */
export interface FoundAddress extends LookupAddress {
  readonly ttl?: number;
}

export interface NameContext {
  readonly clock: Clock;
  readonly logger?: Logger | undefined;
  /** Every address of a host that these settings may want; rejects with a `code` such as ENOTFOUND. */
  readonly lookup: (host: string, dns: DnsSettings | undefined) => Promise<readonly FoundAddress[]>;
  /** Asked besides where TTLs are to be respected and the look-up does not tell them; rejects or is slow without harm. */
  readonly ttls?: (host: string, dns: DnsSettings) => Promise<readonly FoundAddress[]>;
}

/**
 * What is known of one name under one set of settings. An answer counts as fresh for 5 s, or as long as its TTL says with
 * `respectTtl`; an older one is used for 5 minutes while the resolver fails, whatever it says meanwhile: name servers that
 * are started anew deny names that they will have in a moment.
 */
export class ResolvedName {
  readonly host: string;
  /** It is an address: there is nothing to ask. */
  readonly isLiteral: boolean;
  readonly #dns: DnsSettings | undefined;
  readonly #context: NameContext;
  #addresses: readonly string[];
  #answeredAt = 0;
  #triedAt = 0;
  /** For how long the last answer need not be asked for again. */
  #freshMs = FRESH_MS;
  /** Of the last attempt; null when it succeeded. */
  #failure: DnsFailure | null = null;
  #asking: Promise<void> | null = null;
  /** By port, so that a request allocates nothing. */
  readonly #endpoints = new Map<number, readonly Endpoint[]>();

  /** `like`: the same host under settings that differ little (`profilesLike`); what is known of it is used until something else is known. */
  constructor(host: string, dns: DnsSettings | undefined, context: NameContext, like?: ResolvedName) {
    this.host = host;
    this.isLiteral = isIP(host) !== 0;
    this.#dns = dns;
    this.#context = context;
    this.#addresses = this.isLiteral ? [host] : [];
    if (this.isLiteral || like?.isUsable !== true) return;
    this.#addresses = dns?.logical === true ? like.#addresses.slice(0, 1) : like.#addresses;
    this.#answeredAt = like.#answeredAt;
  }

  /** There are addresses that may be used. */
  get isUsable(): boolean {
    if (this.isLiteral) return true;
    if (this.#addresses.length === 0) return false;
    return isWithin(Math.max(STALE_MS, this.#freshMs), this.#answeredAt, this.#context.clock.now());
  }

  /** Of the last attempt, if it failed a moment ago; else null. */
  get failure(): DnsFailure | null {
    return isWithin(FAILURE_MS, this.#triedAt, this.#context.clock.now()) ? this.#failure : null;
  }

  /** For how many milliseconds it need not be asked again. */
  get restMs(): number {
    if (this.isLiteral) return Number.POSITIVE_INFINITY;
    const now = this.#context.clock.now();
    const rest = this.isUsable ? this.#freshMs : this.#failure === null ? 0 : FAILURE_MS;
    return isWithin(rest, this.#triedAt, now) ? this.#triedAt + rest - now : 0;
  }

  /** The addresses last known, whether they may be used or not. As long as nothing changes it is the same list. */
  at(port: number): readonly Endpoint[] {
    let endpoints = this.#endpoints.get(port);
    if (endpoints === undefined) {
      endpoints = this.#addresses.map((address) => ({ address, port }));
      this.#endpoints.set(port, endpoints);
    }
    return endpoints;
  }

  /** Asks, once for all who ask meanwhile. Rejects with a `DnsFailure`. */
  ask(): Promise<void> {
    this.#asking ??= this.#context.lookup(this.host, this.#dns).then(
      (found) => {
        this.#asking = null;
        this.#take(found);
      },
      (error: NodeJS.ErrnoException) => {
        this.#asking = null;
        this.#fail(error.code ?? "unknown");
      },
    );
    return this.#asking;
  }

  #take(found: readonly FoundAddress[]): void {
    const addresses = wanted(found, this.#dns);
    if (addresses.length === 0) this.#fail("ENODATA");
    this.#answeredAt = this.#triedAt = this.#context.clock.now();
    this.#freshMs = FRESH_MS;
    this.#failure = null;
    if (addresses.join() !== this.#addresses.join()) {
      this.#addresses = addresses;
      this.#endpoints.clear();
    }
    if (this.#dns?.respectTtl !== true) return;
    if (found.some(({ ttl }) => ttl !== undefined)) this.#heed(found);
    else void this.#heedTtls(this.#dns);
  }

  /** Nobody waits for it: name servers that are slow, or that the system does not ask, only leave the 5 s as they are. */
  async #heedTtls(dns: DnsSettings): Promise<void> {
    const answeredAt = this.#answeredAt;
    const told = (await this.#context.ttls?.(this.host, dns).catch(() => [])) ?? [];
    if (this.#answeredAt === answeredAt) this.#heed(told);
  }

  #heed(told: readonly FoundAddress[]): void {
    const ttls = told.flatMap(({ address, ttl }) =>
      ttl !== undefined && this.#addresses.includes(address) ? [ttl] : [],
    );
    const seconds = Math.min(...ttls);
    if (Number.isFinite(seconds) && seconds > 0) this.#freshMs = seconds * 1000;
  }

  #fail(code: string): never {
    const { clock, logger } = this.#context;
    this.#triedAt = clock.now();
    this.#freshMs = FRESH_MS;
    this.#failure = new DnsFailure(this.host, code);
    logger?.debug({ host: this.host, code }, "DNS look-up failed");
    throw this.#failure;
  }
}

/**
 * A name of which something may be known already: `known` finds those of the same host by their profile, and one that is usable
 * and whose addresses are of the same families will do until this one is answered for.
 */
export function resolvedName(
  host: string,
  dns: DnsSettings | undefined,
  context: NameContext,
  known: (profile: number) => ResolvedName | undefined,
): ResolvedName {
  const like = profilesLike(profileOf(dns))
    .map(known)
    .find((each) => each?.isUsable);
  return new ResolvedName(host, dns, context, like);
}

/** What is asked for, as a number below 12: the settings make another name of it. */
export function profileOf(dns: DnsSettings | undefined): number {
  if (dns === undefined) return 0;
  const family = dns.family === undefined ? 0 : dns.family === "v6" ? 1 : 2;
  return family * 4 + (dns.respectTtl === true ? 2 : 0) + (dns.logical === true ? 1 : 0);
}

/** Those, this one among them, whose names have addresses of the same families: what is known of one will do for another. */
function profilesLike(profile: number): readonly number[] {
  const first = profile - (profile % 4);
  return [first, first + 1, first + 2, first + 3];
}

const FRESH_MS = 5_000;
const STALE_MS = 300_000;
const FAILURE_MS = 1_000;

/** A moment that lies ahead means that the clock was set back: it counts as long ago. */
function isWithin(milliseconds: number, moment: number, now: number): boolean {
  return now >= moment && now - moment < milliseconds;
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
