import type { Authorization } from "./auth.ts";
import type { Cluster } from "./cluster.ts";
import type { HttpSettings } from "./http.ts";
import type { Listener, VirtualHost } from "./listener.ts";
import type { OutsideService } from "./outside.ts";
import type { Route } from "./route.ts";
import type { TcpListener } from "./tcp.ts";

/**
 * What the gateway should do: the compiler's output and every engine's only input. Plain, serialisable data, sorted so
 * that the same resources give the same bytes. It names credentials and never holds one.
 */
export interface GatewayModel {
  readonly http: HttpSettings;
  /** Sorted by name. */
  readonly listeners: readonly Listener[];
  /** Sorted by name; absent where there is none. No two listeners have the same port of one address. */
  readonly tcpListeners?: readonly TcpListener[];
  /** Sorted by domain. Each domain stands once; lookups go exact name, then the longest `*.suffix`, then `*`. */
  readonly virtualHosts: readonly VirtualHost[];
  /** Absent: nobody is asked. */
  readonly authorization?: Authorization;
  /** Sorted by kind and name; absent where there is none. */
  readonly outside?: readonly OutsideService[];
  /** In order of precedence: the first route that matches a request takes it. */
  readonly routes: readonly Route[];
  /** Sorted by name. */
  readonly clusters: readonly Cluster[];
}

/** The unit of publication. Its number is in logs, metrics and pages. */
export interface Revision {
  /** Counts up from 1 in each process. */
  readonly number: number;
  /** SHA-256 (hex) of what `model` says: equal for the same resources in any order. */
  readonly hash: string;
  readonly model: GatewayModel;
}
