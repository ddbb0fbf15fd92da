/** One Mapping group: a match, and where its traffic goes. */
export interface Route {
  /** First Mapping of the group, `mapping/NAMESPACE/NAME`: the route's name in logs and metrics. */
  readonly name: string;
  readonly match: RouteMatch;
  /** At least one. Weights are whole numbers, the sum of them is what 100 % means. */
  readonly destinations: readonly Destination[];
}

export interface RouteMatch {
  readonly path: { readonly kind: "prefix"; readonly value: string };
  /** Exact value of the Host header in lower case, with its port where the Mapping writes one. Absent: any. */
  readonly host?: string;
}

export interface Destination {
  /** The Mapping, `mapping/NAMESPACE/NAME`. */
  readonly name: string;
  readonly weight: number;
  readonly action: DestinationAction;
}

export type DestinationAction =
  | {
      readonly kind: "forward";
      readonly cluster: string;
      /** Replaces the matched prefix; absent: the path goes on as it is. */
      readonly prefixRewrite?: string;
      /** Until the response is complete, in milliseconds; 0: no limit. */
      readonly timeoutMs: number;
      /** Replaces the Host header. */
      readonly hostRewrite?: string;
    }
  /** Fails closed: 503. `code` is the diagnostic that says why. */
  | { readonly kind: "fail"; readonly code: string };
