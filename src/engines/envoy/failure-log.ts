import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { addressText } from "../../model/address.ts";
import type { Address } from "../../protobuf/generated/envoy/config/core/v3/address_pb.js";
import { ApiVersion } from "../../protobuf/generated/envoy/config/core/v3/config_source_pb.js";
import type { CommonGrpcAccessLogConfigSchema } from "../../protobuf/generated/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import type { CustomTagSchema } from "../../protobuf/generated/envoy/type/tracing/v3/custom_tag_pb.js";
import { duration } from "./duration.ts";

type CustomTag = MessageInitShape<typeof CustomTagSchema>;

/** A log that Envoy sends to Credence itself, over the xDS stream's connection. */
export function logStream(
  ownCluster: string,
  logName: string,
  customTags: CustomTag[],
): MessageInitShape<typeof CommonGrpcAccessLogConfigSchema> {
  return {
    logName,
    transportApiVersion: ApiVersion.V3,
    grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: ownCluster } } },
    bufferFlushInterval: duration(100),
    customTags,
  };
}

/** ISO 8601. */
export function timeText(time: Timestamp | undefined): string {
  const milliseconds =
    time === undefined ? Date.now() : Number(time.seconds) * 1000 + Math.floor(time.nanos / 1_000_000);
  return new Date(milliseconds).toISOString();
}

/** The address alone, IPv6 without brackets; empty: it is none of TCP. */
export function hostText(address: Address | undefined): string {
  return address?.address.case === "socketAddress" ? address.address.value.address : "";
}

/** `address:port`; null: it is none of TCP. */
export function socketAddressText(address: Address | undefined): string | null {
  if (address?.address.case !== "socketAddress") return null;
  const { address: host, portSpecifier } = address.address.value;
  const port = portSpecifier.case === "portValue" ? portSpecifier.value : 0;
  return addressText(host, port);
}
