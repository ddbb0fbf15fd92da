import type { MappingResource } from "../resources/mapping.ts";
import type { ClusterInput } from "./clusters.ts";
import type { Guarded } from "./guards.ts";

export interface RoutesInput extends ClusterInput {
  readonly mappings: readonly MappingResource[];
  /** Closes every route, with this code. */
  readonly closedBy: string | null;
  /** Closes every route that is to be asked about, with this code: neither redirects nor those with bypass_auth. */
  readonly authClosedBy: string | null;
  /** The authorization service has a place for `auth_context_extensions`: it is asked over gRPC. */
  readonly authTakesContext: boolean;
  /** Whose labels go to the RateLimitService; null: none is asked. */
  readonly rateLimitDomain: string | null;
  /** Requests of an access control that nobody enforces: their routes are closed. */
  readonly guarded: Guarded;
}
