import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pack } from "../../protobuf/any.ts";
import { ConfigSchema } from "../../protobuf/generated/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

const KEY = "credence.path";

/**
 * Keeps the path as it came for the access log. Envoy's own header for that, x-envoy-original-path, is suppressed with all
 * others that would tell upstreams how a request was routed.
 */
export function requestPathFilter(): MessageInitShape<typeof HttpFilterSchema> {
  const message = create(ConfigSchema, {
    onRequestHeaders: [
      {
        key: { case: "objectKey", value: KEY },
        factoryKey: "envoy.string",
        value: {
          case: "formatString",
          value: {
            format: {
              case: "textFormatSource",
              value: { specifier: { case: "inlineString", value: "%REQ(:PATH)%" } },
            },
          },
        },
      },
    ],
  });
  return {
    name: "credence.request_path",
    configType: { case: "typedConfig", value: pack(ConfigSchema, message) },
  };
}

/** In a format: that path; of what was refused before any filter, what there is. */
export const REQUEST_PATH = `%COALESCE(${JSON.stringify({
  operators: [
    { command: "FILTER_STATE", param: `${KEY}:PLAIN` },
    { command: "REQ", param: ":PATH" },
  ],
})})%`;
