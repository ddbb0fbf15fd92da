export type EngineName = "node" | "envoy";

export const ENGINE_NAMES: readonly EngineName[] = ["node", "envoy"];

/** Why an engine cannot, and what to do instead. Where only that engine cannot, the message names it. */
export interface Limit {
  readonly message: string;
  readonly remedy: string;
}

interface Capability extends Readonly<Record<EngineName, Limit | null>> {
  /** What it is, for the table in docs/engines.md. */
  readonly what: string;
}

/**
 * What not every engine can do: null where it can. Compile asks here and refuses the rest with a diagnostic, so that no
 * engine is ever given a model that it would have to weaken. TLS has a table of its own (tls-capabilities.ts).
 */
const CAPABILITIES = {
  "h2-upstream": {
    what: "HTTP/2 to upstreams (`grpc: true`)",
    node: {
      message: "the node engine does not speak HTTP/2 to upstreams",
      remedy: "Remove `grpc` if the service speaks HTTP/1.1 too, or use the envoy engine.",
    },
    envoy: null,
  },
  "h2-clients": {
    what: "HTTP/2 with clients (`alpn_protocols: h2` of a context that terminates TLS)",
    node: {
      message: "h2 is not offered: this engine speaks HTTP/1.1",
      remedy: "Remove h2, or use it with an engine that speaks HTTP/2.",
    },
    envoy: null,
  },
  "kubernetes-endpoints": {
    what: "KubernetesEndpointResolver",
    node: {
      message: "no source of Kubernetes endpoints is connected",
      remedy: "Remove `resolver`: the service is found by DNS, and `load_balancer` works over its addresses.",
    },
    envoy: {
      message: "no source of Kubernetes endpoints is connected",
      remedy: "Remove `resolver`: the service is found by DNS, and `load_balancer` works over its addresses.",
    },
  },
  "grpc-auth-service": {
    what: "AuthService with `proto: grpc`",
    node: {
      message: "the node engine does not speak proto: grpc, so the service cannot be asked",
      remedy: "Have it asked over HTTP (`proto: http`), or use the envoy engine.",
    },
    envoy: null,
  },
  "rate-limit-service": {
    what: "RateLimitService",
    node: {
      message: "the node engine asks no RateLimitService: rate limits are not enforced",
      remedy: "Limit rates before the gateway or in the upstreams, or use the envoy engine.",
    },
    envoy: null,
  },
  gzip: {
    what: "Module `gzip`",
    node: {
      message: "the node engine compresses no responses: gzip has no effect",
      remedy: "Compress in the upstreams, or use the envoy engine.",
    },
    envoy: null,
  },
  "log-service": {
    what: "LogService",
    node: {
      message: "the node engine streams no access logs to a LogService",
      remedy: "Collect the access log from standard output, or use the envoy engine.",
    },
    envoy: null,
  },
  "tracing-service": {
    what: "TracingService",
    node: {
      message: "the node engine sends no spans to a TracingService",
      remedy: "Trace in the upstreams, or use the envoy engine.",
    },
    envoy: null,
  },
} as const satisfies Readonly<Record<string, Capability>>;

export type Feature = keyof typeof CAPABILITIES;

/** Null: the engine can. */
export function limitOf(engine: EngineName, feature: Feature): Limit | null {
  return CAPABILITIES[feature][engine];
}

/** The whole table, for the documentation. */
export function capabilities(): readonly ({ readonly feature: Feature } & Capability)[] {
  return (Object.keys(CAPABILITIES) as Feature[]).map((feature) => ({ feature, ...CAPABILITIES[feature] }));
}
