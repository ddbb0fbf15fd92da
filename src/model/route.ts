/** One Mapping group: a match, and where its traffic goes. */
export interface Route {
  /** First Mapping of the group, `mapping/NAMESPACE/NAME`: the route's name in logs and metrics. */
  readonly name: string;
  readonly match: RouteMatch;
  /** At least one. Weights are whole numbers, the sum of them is what 100 % means. */
  readonly destinations: readonly Destination[];
  /** Gets copies of requests, whose answers are thrown away. */
  readonly mirror?: Mirror;
  readonly cors?: CorsPolicy;
  /** Protocols whose upgrades are passed on, in lower case. */
  readonly upgrades?: readonly string[];
  /** Past the external authorization. */
  readonly bypassAuth?: true;
  readonly errorResponses?: readonly ErrorResponse[];
  /** What a request is counted as by the RateLimitService. Absent: it is not asked. */
  readonly rateLimits?: readonly RateLimit[];
}

/** One limit: at least one label. */
export type RateLimit = readonly RateLimitLabel[];

export type RateLimitLabel =
  /** The gateway's own name, the cluster that the request goes to, or the client's address. */
  | { readonly kind: "source-cluster" | "destination-cluster" | "remote-address" }
  | { readonly kind: "generic-key"; readonly value: string }
  /** A request without the header is not counted; `omitted`: it is counted without this label. */
  | { readonly kind: "header"; readonly key: string; readonly name: string; readonly omitted?: true };

export interface RouteMatch {
  readonly path: PathMatch;
  /** Exact value of the Host header in lower case, with its port where the Mapping writes one. Absent: any. */
  readonly host?: string;
  /** A regular expression (RE2) for the whole Host header. */
  readonly hostPattern?: string;
  readonly method?: TextMatch;
  /** Sorted by name; names in lower case. All must hold. */
  readonly headers?: readonly FieldMatch[];
  /** Sorted by name; all must hold. */
  readonly query?: readonly FieldMatch[];
}

/** `regex` (RE2) must match the whole path. */
export type PathMatch =
  | { readonly kind: "prefix" | "exact"; readonly value: string; readonly ignoreCase?: true }
  | { readonly kind: "regex"; readonly value: string; readonly ignoreCase?: true };

/** `regex` (RE2) must match the whole text. */
export type TextMatch =
  | { readonly kind: "exact" | "regex"; readonly value: string }
  | { readonly kind: "present" };

export type FieldMatch = TextMatch & { readonly name: string };

export interface Destination {
  /** The Mapping, `mapping/NAMESPACE/NAME`. */
  readonly name: string;
  readonly weight: number;
  readonly action: DestinationAction;
}

export type DestinationAction =
  | ForwardAction
  | RedirectAction
  /** Fails closed: 503. `code` is the diagnostic that says why. */
  | { readonly kind: "fail"; readonly code: string };

export interface ForwardAction {
  readonly kind: "forward";
  readonly cluster: string;
  /** Absent: the path goes on as it is. */
  readonly rewrite?: PathRewrite;
  /** Until the response is complete, in milliseconds; 0: no limit. */
  readonly timeoutMs: number;
  /** Without a byte either way, in milliseconds; 0: no limit. */
  readonly idleTimeoutMs?: number;
  /** Replaces the Host header: by a text, or by the name of the address chosen. */
  readonly hostRewrite?: string;
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
  readonly retry?: RetryPolicy;
  /** What the balancers `ring_hash` and `maglev` go by. */
  readonly hash?: HashPolicy;
  readonly priority?: "high";
  /** Told to a gRPC authorization service beside the request, by name. */
  readonly authContext?: Readonly<Record<string, string>>;
}

export interface RedirectAction {
  readonly kind: "redirect";
  /** Host and port of the target, and its scheme where the service writes one. */
  readonly host: string;
  readonly scheme?: "http" | "https";
  /** Absent: the path as it came. */
  readonly path?: { readonly kind: "path"; readonly value: string } | PathRewrite;
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly responseHeaders?: HeaderChanges;
}

export type PathRewrite =
  /** Replaces the matched prefix; the whole path where the match is exact or a regular expression. */
  | { readonly kind: "prefix"; readonly value: string }
  /** Replaces each match of `pattern` (RE2); `\1` in `substitution` is the first group. */
  | { readonly kind: "regex"; readonly pattern: string; readonly substitution: string };

/** First the removals, then the additions, in the order of their names. */
export interface HeaderChanges {
  /** In lower case, sorted. */
  readonly remove?: readonly string[];
  readonly add?: readonly HeaderAddition[];
}

export interface HeaderAddition {
  readonly name: string;
  readonly value: string;
  /** false: replaces what is there. */
  readonly append: boolean;
}

export interface RetryPolicy {
  readonly on:
    | "5xx"
    | "gateway-error"
    | "connect-failure"
    | "retriable-4xx"
    | "refused-stream"
    | "retriable-status-codes";
  readonly retries: number;
  /** Milliseconds; absent: what is left of the request's. */
  readonly perTryTimeoutMs?: number;
}

export type HashPolicy =
  | { readonly kind: "source-ip" }
  | { readonly kind: "header"; readonly name: string }
  /** With `ttlSeconds` the gateway sets the cookie where it is missing; 0: for the session. */
  | { readonly kind: "cookie"; readonly name: string; readonly path?: string; readonly ttlSeconds?: number };

export interface Mirror {
  /** The Mapping, `mapping/NAMESPACE/NAME`. */
  readonly name: string;
  readonly percent: number;
  readonly action: ForwardAction | { readonly kind: "fail"; readonly code: string };
}

export interface CorsPolicy {
  /** Compared as they are; `*` is any. */
  readonly origins: readonly string[];
  readonly methods?: string;
  readonly headers?: string;
  readonly exposedHeaders?: string;
  readonly credentials: boolean;
  readonly maxAgeSeconds?: number;
}

export interface ErrorResponse {
  readonly status: number;
  readonly contentType: string;
  /** With Envoy's `%OPERATORS%`. */
  readonly body: string;
  /** What operators give goes into JSON texts. */
  readonly json?: true;
}
