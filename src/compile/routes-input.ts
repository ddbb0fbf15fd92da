import type { MappingResource } from "../resources/mapping.ts";
import type { ClusterInput } from "./clusters.ts";

export interface RoutesInput extends ClusterInput {
  readonly mappings: readonly MappingResource[];
  /** Closes every route, with this code. */
  readonly closedBy: string | null;
}
