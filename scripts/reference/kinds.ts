import { type TProperties, Type } from "typebox";
import { AUTH_SERVICE } from "../../src/resources/auth-service.ts";
import { HOST } from "../../src/resources/host.ts";
import { LOG_SERVICE } from "../../src/resources/log-service.ts";
import { MAPPING } from "../../src/resources/mapping.ts";
import { MODULE } from "../../src/resources/module.ts";
import { RATE_LIMIT_SERVICE } from "../../src/resources/rate-limit-service.ts";
import { CONSUL_RESOLVER } from "../../src/resources/resolver.ts";
import { TCP_MAPPING } from "../../src/resources/tcp-mapping.ts";
import { TLS_CONTEXT } from "../../src/resources/tls-context.ts";
import { TRACING_SERVICE } from "../../src/resources/tracing-service.ts";

/** A kind as docs/reference/ and deploy/crds/ show it. A new kind is a line here. */
export interface DocumentedKind {
  readonly kind: string;
  /** As the Kubernetes API names it. */
  readonly plural: string;
  readonly shortNames?: readonly string[];
  /** One or two sentences at the head of its page. */
  readonly about: string;
  readonly fields: { readonly properties: TProperties; readonly required?: readonly string[] | undefined };
  /** Where the fields stand, if not directly below `spec`. */
  readonly below?: "config";
  /** The page's first example: the smallest object that is of use. */
  readonly example: Readonly<Record<string, unknown>>;
  /** `metadata.name`, where the gateway goes by it. */
  readonly name?: string;
}

export const KINDS: readonly DocumentedKind[] = [
  {
    kind: "Mapping",
    plural: "mappings",
    about:
      "Sends requests to a service: by path, host, method, headers and query to an upstream, a redirect or a share of both.",
    fields: MAPPING,
    example: { prefix: "/backend/", service: "https://quote:8443", tls: "upstream-context" },
  },
  {
    kind: "TCPMapping",
    plural: "tcpmappings",
    about:
      "Passes the connections of a port on to a service byte by byte, whatever is spoken on them: by server name (SNI), with TLS terminated, passed on unopened or spoken to the service. What it names and cannot be used closes its connections.",
    fields: TCP_MAPPING,
    example: { port: 5432, host: "db.example.com", service: "postgres:5432", tls: "upstream-context" },
  },
  {
    kind: "TLSContext",
    plural: "tlscontexts",
    about:
      "Certificate, CA and settings for TLS: with `hosts` towards clients, and for every Mapping that names it in `tls` towards its upstream.",
    fields: TLS_CONTEXT,
    example: { hosts: [], secret: "upstream-certs", ca_secret: "upstream-ca" },
  },
  {
    kind: "Host",
    plural: "hosts",
    about:
      "A name that is served: its certificate, how clients are checked, and what becomes of cleartext requests for it.",
    fields: HOST,
    example: { hostname: "shop.example.com", tlsSecret: { name: "shop-certificate" } },
  },
  {
    kind: "Module",
    plural: "modules",
    about:
      "The gateway's own settings, in the one Module that is called `ambassador`. A key that cannot be read stays at its default and is reported.",
    fields: MODULE,
    below: "config",
    name: "ambassador",
    example: { xff_num_trusted_hops: 1, cluster_request_timeout_ms: 10_000 },
  },
  {
    kind: "AuthService",
    plural: "authservices",
    about:
      "Asks a service about each request, and refuses those that it refuses. What cannot be asked is not served: a route is closed rather than opened.",
    fields: AUTH_SERVICE,
    example: { auth_service: "https://auth.default:3000" },
  },
  {
    kind: "RateLimitService",
    plural: "ratelimitservices",
    about: "The service that counts requests. It is read and checked, and not asked by this version.",
    fields: RATE_LIMIT_SERVICE,
    example: { service: "ratelimit.default:5000" },
  },
  {
    kind: "LogService",
    plural: "logservices",
    about: "The service that gets access logs. It is read and checked, and gets nothing from this version.",
    fields: LOG_SERVICE,
    example: { service: "log.default:3000", driver: "http", grpc: true },
  },
  {
    kind: "TracingService",
    plural: "tracingservices",
    about: "The service that gets traces. It is read and checked, and gets nothing from this version.",
    fields: TRACING_SERVICE,
    example: { service: "zipkin:9411", driver: "zipkin" },
  },
  {
    kind: "ConsulResolver",
    plural: "consulresolvers",
    about:
      "Finds the addresses of services in Consul's catalogue, for the Mappings that name it in `resolver`.",
    fields: CONSUL_RESOLVER,
    example: { address: "consul-server.default.svc.cluster.local:8500", datacenter: "dc1" },
  },
  {
    kind: "KubernetesEndpointResolver",
    plural: "kubernetesendpointresolvers",
    about: "Finds the addresses of services in Kubernetes' endpoints. It has no fields of its own.",
    fields: Type.Object({}),
    example: {},
  },
  {
    kind: "KubernetesServiceResolver",
    plural: "kubernetesserviceresolvers",
    about:
      "Finds the address of services by DNS, as Mappings without `resolver` do. It has no fields of its own.",
    fields: Type.Object({}),
    example: {},
  },
];
