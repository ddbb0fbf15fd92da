import type { DiscoveredEndpoints } from "../../endpoints/discovered.ts";
import type { ListenerBounds } from "./bounds.ts";
import type { Acceptance } from "./tls/acceptance.ts";

/** What translation knows beside the model. */
export interface TranslationContext {
  /** Digest of what the store has by `credential NAME`, `trust NAME` or `crl NAME`: another one retires upstream connections. */
  readonly generations: ReadonlyMap<string, string>;
  /** Whom the clients' CAs and lists accept: it retires their connections. Absent: not known. */
  readonly acceptance?: Acceptance;
  /** The SPIFFE trust domain of each credential that has one, by the credential's name. Absent: none has. */
  readonly trustDomains?: ReadonlyMap<string, string>;
  /** Milliseconds from a credential's beginning to its end, by its name. Absent: not known. */
  readonly lifetimes?: ReadonlyMap<string, number>;
  /** Addresses of clusters with a resolver. Absent: none are known. */
  readonly discovered?: DiscoveredEndpoints;
  /** Those of names are there too. Absent: Envoy asks DNS. */
  readonly knowsNames?: boolean;
  /** The bootstrap's static cluster that leads to Credence itself, for the stream of failures; absent: nobody takes them. */
  readonly ownCluster?: string;
  /** Absent: the defaults. */
  readonly bounds?: ListenerBounds;
  /** A line of JSON for each request and connection on Envoy's standard output. */
  readonly accessLog?: boolean;
  /** The lines of requests name the revision, by the secret of that name: nobody completes them. */
  readonly namesRevision?: boolean;
  /** One for each handshake of a client that failed as well: of Envoys whose failures nobody else writes a line about. */
  readonly handshakeLines?: boolean;
  /** Where listeners with port 0 are open, by listener name: chosen before translation. */
  readonly ports: ReadonlyMap<string, number>;
}
