import { isRecord } from "../resources/fields.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import type { Written } from "./finding.ts";
import { type MigrationInput, type WrittenObject, writtenObjects } from "./input.ts";
import type { Legacy } from "./legacy.ts";

/** A TLSContext or Host that served names over TLS in 1.14, as it was meant. */
export interface ServedNames {
  readonly written: Written;
  /** In lower case; `*` for any. */
  readonly names: readonly string[];
  /** Clients were to show a certificate, or have one that they show checked. */
  readonly checksClients: boolean;
}

/** In the order in which 1.14 made its virtual hosts: Hosts first, then contexts, each by name. */
export function servedNames(input: MigrationInput, legacy: Legacy): ServedNames[] {
  const contexts = input.resources.tlsContexts
    .filter(({ terminates }) => terminates)
    .map((context) => ({
      written: context,
      names: (context.spec.hosts ?? []).map((host) => host.toLowerCase()),
      checksClients: checks(context),
    }));
  const hosts = writtenObjects(input, "Host")
    .filter((host) => secretName(host) !== undefined)
    .map((host) => ({
      written: host,
      names: [hostname(host)],
      checksClients: hostChecks(host, legacy),
    }));
  return [...hosts, ...contexts];
}

/** The name that a Host serves, in lower case; none is any. */
export function hostname({ spec }: WrittenObject): string {
  return typeof spec.hostname === "string" && spec.hostname !== "" ? spec.hostname.toLowerCase() : "*";
}

/** A Host's `tlsSecret`; undefined where it has none. */
export function secretName({ spec }: WrittenObject): string | undefined {
  const { tlsSecret } = spec;
  return isRecord(tlsSecret) && typeof tlsSecret.name === "string" ? tlsSecret.name : undefined;
}

function checks({ spec }: TlsContextResource): boolean {
  return spec.ca_secret !== undefined || spec.cacert_chain_file !== undefined || spec.cert_required === true;
}

function hostChecks({ spec }: WrittenObject, legacy: Legacy): boolean {
  const { tls, tlsContext } = spec;
  if (
    isRecord(tls) &&
    (tls.ca_secret !== undefined || tls.caSecret !== undefined || tls.cert_required === true)
  )
    return true;
  const named =
    isRecord(tlsContext) && typeof tlsContext.name === "string" ? legacy.context(tlsContext.name) : undefined;
  return named !== undefined && checks(named);
}
