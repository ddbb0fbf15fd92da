import { Resolver } from "node:dns/promises";
import type { DnsSettings } from "../model/cluster.ts";
import { followedFile } from "./followed-file.ts";
import { hostsOf } from "./hosts-file.ts";
import { candidatesOf, searchOf } from "./resolv-conf.ts";
import type { FoundAddress } from "./resolved-name.ts";

export interface NameServersOptions {
  /** Whom to ask, `ADDRESS:PORT`; none: those of resolv.conf. */
  readonly servers: readonly string[];
  readonly hostsFile?: string;
  readonly resolvConf?: string;
  readonly now: () => number;
}

export interface NameServers {
  /** Rejects with the code of c-ares, of a name that no server answers for after 4 s. */
  lookup(host: string, dns: DnsSettings | undefined): Promise<readonly FoundAddress[]>;
  /** What is under way rejects. */
  stop(): void;
}

/**
 * Addresses as Envoy's own resolver (c-ares) has them: the hosts file, else the name servers, by the search list of
 * resolv.conf. getaddrinfo would hold a thread for each name that is not answered for: two such names, and no other is
 * asked for. Here any number may be under way. Both files are followed.
 */
export function createNameServers(options: NameServersOptions): NameServers {
  const { servers, now, hostsFile = "/etc/hosts", resolvConf = "/etc/resolv.conf" } = options;
  const hosts = followedFile(hostsFile, hostsOf, now);
  const search = followedFile(resolvConf, searchOf, now);
  let resolver = newResolver(servers);
  let resolverFor = search();

  const recordsOf = async (name: string, family: 4 | 6): Promise<readonly FoundAddress[]> => {
    const records = await (family === 4
      ? resolver.resolve4(name, { ttl: true })
      : resolver.resolve6(name, { ttl: true }));
    return records.map(({ address, ttl }) => ({ address, family, ttl }));
  };

  /** IPv6 is for names that have nothing else, unless the settings say otherwise: then the other family is the second choice, or none. */
  const ask = async (name: string, family: DnsSettings["family"]): Promise<readonly FoundAddress[]> => {
    const [first, second] =
      family === "v6" ? ([6] as const) : family === "both" ? ([6, 4] as const) : ([4, 6] as const);
    try {
      return await recordsOf(name, first);
    } catch (error) {
      if (second === undefined || codeOf(error) !== "ENODATA") throw error;
      return recordsOf(name, second);
    }
  };

  return {
    async lookup(host, dns) {
      const name = host.toLowerCase();
      const known = hosts().get(name.replace(/\.$/, "")) ?? loopbackOf(name);
      if (known !== undefined) return known;
      const searched = search();
      if (searched !== resolverFor && servers.length === 0) resolver = newResolver(servers);
      resolverFor = searched;
      let denied: unknown;
      for (const candidate of candidatesOf(name, searched)) {
        try {
          return await ask(candidate, dns?.family);
        } catch (error) {
          // Another name is meant only where this one does not exist: a server that fails for a moment must not lead elsewhere.
          if (!isDenied(error, candidate)) throw error;
          if (denied === undefined || codeOf(error) === "ENODATA") denied = error;
        }
      }
      throw denied;
    },
    stop: () => resolver.cancel(),
  };
}

/** Two tries of each server, as Envoy is told to make (engines/envoy/process/bootstrap.ts). */
function newResolver(servers: readonly string[]): Resolver {
  const resolver = new Resolver({ timeout: TRY_MS, tries: 2, maxTimeout: TRY_MS });
  if (servers.length > 0) resolver.setServers(servers);
  return resolver;
}

/** What resolvers of a single label say may mean that they ask nobody about those (systemd's does). */
function isDenied(error: unknown, name: string): boolean {
  const code = codeOf(error);
  if (code === "ENOTFOUND" || code === "ENODATA") return true;
  return (code === "ESERVFAIL" || code === "EREFUSED") && !name.replace(/\.$/, "").includes(".");
}

/** `localhost` and what is below it is this machine, whatever the name servers say (RFC 6761 §6.3). */
function loopbackOf(name: string): readonly FoundAddress[] | undefined {
  return /(?:^|\.)localhost\.?$/.test(name) ? LOOPBACK : undefined;
}

const LOOPBACK: readonly FoundAddress[] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];
const TRY_MS = 2_000;

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
