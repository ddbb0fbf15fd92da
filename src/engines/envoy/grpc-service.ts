import type { MessageInitShape } from "@bufbuild/protobuf";
import { addressText } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { GrpcServiceSchema } from "../../protobuf/generated/envoy/config/core/v3/grpc_service_pb.js";
import { duration } from "./duration.ts";

/** A service that Envoy itself speaks gRPC to. `timeoutMs`: until it has answered; absent: it is a stream. */
export function grpcService(
  { name, service: { host, port } }: Cluster,
  timeoutMs?: number,
): Exclude<MessageInitShape<typeof GrpcServiceSchema>, { $typeName: string }> {
  return {
    targetSpecifier: {
      case: "envoyGrpc",
      // Without it Envoy says the cluster's name, which is no authority (RFC 3986 §3.2).
      value: { clusterName: name, authority: addressText(host, port) },
    },
    ...(timeoutMs === undefined ? {} : { timeout: duration(timeoutMs) }),
  };
}
