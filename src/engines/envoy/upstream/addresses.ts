import { isIP } from "node:net";
import type { Cluster, DnsSettings, ServiceAddress } from "../../../model/cluster.ts";
import {
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
} from "../../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ADS } from "../config-source.ts";
import type { ClusterFields } from "./cluster-fields.ts";

/** Where a cluster's addresses come from: itself, DNS, or EDS for whom an endpoint resolver knows. */
export function addresses(cluster: Cluster): ClusterFields {
  const { service, resolver, dns } = cluster;
  if (resolver !== undefined) {
    return {
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: { edsConfig: ADS, serviceName: endpointsName(cluster) },
    };
  }
  const loadAssignment = assignment(cluster.name, service);
  if (isIP(service.host) !== 0) {
    return { clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC }, loadAssignment };
  }
  return {
    clusterDiscoveryType: {
      case: "type",
      value: dns?.logical === true ? Cluster_DiscoveryType.LOGICAL_DNS : Cluster_DiscoveryType.STRICT_DNS,
    },
    dnsLookupFamily: dnsFamily(dns),
    ...(dns?.respectTtl === true ? { respectDnsTtl: true } : {}),
    loadAssignment,
  };
}

/** The name by which EDS has the addresses of a cluster with an endpoint resolver. */
export function endpointsName({ service, resolver }: Cluster): string {
  return resolver?.kind === "consul"
    ? `consul ${resolver.address} ${resolver.datacenter} ${resolver.service}`
    : `${service.host}:${service.port}`;
}

function dnsFamily(dns: DnsSettings | undefined): Cluster_DnsLookupFamily {
  if (dns?.family === "v6") return Cluster_DnsLookupFamily.V6_ONLY;
  return dns?.family === "both" ? Cluster_DnsLookupFamily.ALL : Cluster_DnsLookupFamily.V4_ONLY;
}

function assignment(
  clusterName: string,
  { host: address, port }: ServiceAddress,
): NonNullable<ClusterFields["loadAssignment"]> {
  const socketAddress = { address, portSpecifier: { case: "portValue" as const, value: port } };
  const endpoint = { address: { address: { case: "socketAddress" as const, value: socketAddress } } };
  return {
    clusterName,
    endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: "endpoint" as const, value: endpoint } }] }],
  };
}
