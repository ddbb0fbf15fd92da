import { isIP } from "node:net";
import type { Cluster, DnsSettings, ServiceAddress } from "../../../model/cluster.ts";
import {
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
} from "../../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ADS } from "../config-source.ts";
import { duration } from "../duration.ts";
import type { TranslationContext } from "../translation-context.ts";
import type { ClusterFields } from "./cluster-fields.ts";
import { discoveredName } from "./load-assignment.ts";

/** Where a cluster's addresses come from: itself, DNS, or EDS for whom an endpoint resolver knows. */
export function addresses(cluster: Cluster, context: TranslationContext): ClusterFields {
  const { service, dns } = cluster;
  if (discoveredName(cluster, context) !== null) {
    return {
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
      edsClusterConfig: { edsConfig: ADS },
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
    dnsFailureRefreshRate: AGAIN_SOON,
    ...(dns?.respectTtl === true ? { respectDnsTtl: true } : {}),
    loadAssignment,
  };
}

/**
 * Where Envoy asks, each rotation makes a cluster that asks DNS anew, and one that got no answer (5 to 6 s, process/bootstrap.ts) serves without
 * an address, although the one before had some. Its own next question is 5 s later.
 */
const AGAIN_SOON: NonNullable<ClusterFields["dnsFailureRefreshRate"]> = {
  baseInterval: duration(250),
  maxInterval: duration(5000),
};

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
