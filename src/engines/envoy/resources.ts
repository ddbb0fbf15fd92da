import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { type Cluster, ClusterSchema } from "../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../protobuf/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import {
  type Listener,
  ListenerSchema,
} from "../../protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../protobuf/generated/envoy/config/route/v3/route_pb.js";
import {
  type VirtualHost,
  VirtualHostSchema,
} from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import {
  type Secret,
  SecretSchema,
} from "../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { typeUrlOf } from "../../protobuf/any.ts";

/** One xDS resource before it is encoded. */
export interface XdsResource<Kind extends XdsKind = XdsKind> {
  readonly kind: Kind;
  /** Unique among those of its kind. A virtual host's is `ROUTE CONFIGURATION/DOMAIN`: Envoy finds the owner by it (VHDS). */
  readonly name: string;
  readonly message: XdsMessages[Kind];
  /** The parts of the model that it was made from, e.g. `mapping/default/shop`, `tlscontext/default/x`: who hears of a NACK. */
  readonly from: readonly string[];
}

export interface XdsMessages {
  readonly secret: Secret;
  readonly cluster: Cluster;
  readonly endpoints: ClusterLoadAssignment;
  readonly listener: Listener;
  readonly "route-configuration": RouteConfiguration;
  readonly "virtual-host": VirtualHost;
}

export type XdsKind = keyof XdsMessages;

export const SCHEMAS: Readonly<Record<XdsKind, DescMessage>> = {
  secret: SecretSchema,
  cluster: ClusterSchema,
  endpoints: ClusterLoadAssignmentSchema,
  listener: ListenerSchema,
  "route-configuration": RouteConfigurationSchema,
  "virtual-host": VirtualHostSchema,
};

export const TYPE_URLS: Readonly<Record<XdsKind, string>> = {
  secret: typeUrlOf(SecretSchema),
  cluster: typeUrlOf(ClusterSchema),
  endpoints: typeUrlOf(ClusterLoadAssignmentSchema),
  listener: typeUrlOf(ListenerSchema),
  "route-configuration": typeUrlOf(RouteConfigurationSchema),
  "virtual-host": typeUrlOf(VirtualHostSchema),
};

/** The resource with its type proven by its kind. */
export function resource<Kind extends XdsKind>(
  kind: Kind,
  name: string,
  message: XdsMessages[Kind] & MessageShape<DescMessage>,
  from: readonly string[],
): XdsResource<Kind> {
  return { kind, name, message, from };
}
