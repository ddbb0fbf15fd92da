import { type TProperties, Type } from "typebox";
import { MAPPING } from "../../src/resources/mapping.ts";
import { MODULE } from "../../src/resources/module.ts";
import { CONSUL_RESOLVER } from "../../src/resources/resolver.ts";
import { TLS_CONTEXT } from "../../src/resources/tls-context.ts";

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
    kind: "TLSContext",
    plural: "tlscontexts",
    about:
      "Certificate, CA and settings for TLS: with `hosts` towards clients, and for every Mapping that names it in `tls` towards its upstream.",
    fields: TLS_CONTEXT,
    example: { hosts: [], secret: "upstream-certs", ca_secret: "upstream-ca" },
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
