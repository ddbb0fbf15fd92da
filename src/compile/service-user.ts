import type { MappingSpec } from "../resources/mapping.ts";
import type { Resource } from "../resources/resource.ts";

/** Whatever has a service to speak to, under the names that a Mapping gives these fields. */
export type ServiceUser = Resource<
  string,
  Pick<
    MappingSpec,
    | "service"
    | "tls"
    | "resolver"
    | "grpc"
    | "cluster_tag"
    | "outlier_detection"
    | "enable_ipv4"
    | "enable_ipv6"
    | "respect_dns_ttl"
    | "dns_type"
  >
>;
