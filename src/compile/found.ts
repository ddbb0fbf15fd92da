import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Cluster } from "../model/cluster.ts";
import type { Route } from "../model/route.ts";

/** What was made, and what there was to say about it. */
export interface Found<Value> {
  readonly value: Value;
  readonly diagnostics: readonly Diagnostic[];
}

export interface MadeRoute {
  readonly route: Route | null;
  readonly clusters: readonly Cluster[];
}
