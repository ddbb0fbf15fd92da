import type { Cluster } from "./cluster.ts";

/** A service beside the way of a request: it limits rates, takes log lines or takes spans (reference §1). */
export interface OutsideService {
  readonly kind: "rate-limit" | "log" | "tracing";
  /** `ratelimitservice/NAMESPACE/NAME` and so on. */
  readonly name: string;
  /** How it is spoken to; no route leads there. */
  readonly cluster: Cluster;
  /** The resource's own fields, in the order of their names. */
  readonly settings: Readonly<Record<string, unknown>>;
}
