import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  ApiVersion,
  type ConfigSourceSchema,
} from "../../protobuf/generated/envoy/config/core/v3/config_source_pb.js";

/** Everything that is named rather than written comes over the one stream (ADS). */
export const ADS: MessageInitShape<typeof ConfigSourceSchema> = {
  resourceApiVersion: ApiVersion.V3,
  configSourceSpecifier: { case: "ads", value: {} },
};
