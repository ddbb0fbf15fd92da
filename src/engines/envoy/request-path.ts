import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { pack } from "../../protobuf/any.ts";
import type { FilterStateValueSchema } from "../../protobuf/generated/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js";
import { ConfigSchema } from "../../protobuf/generated/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { REVISION_NOW, SECRET_FORMATTER } from "./revision-secret.ts";

const KEY = "credence.path";
export const REVISION_KEY = "credence.revision";

/**
 * Keeps the path as it came, and the number of the revision, for the access log. Envoy's own header for a path, x-envoy-original-path, is suppressed with all
 * others that would tell upstreams how a request was routed.
 */
export function requestPathFilter(withRevision: boolean): MessageInitShape<typeof HttpFilterSchema> {
  const message = create(ConfigSchema, {
    onRequestHeaders: [
      kept(KEY, "%REQ(:PATH)%", []),
      ...(withRevision ? [kept(REVISION_KEY, REVISION_NOW, [SECRET_FORMATTER])] : []),
    ],
  });
  return {
    name: "credence.request_path",
    configType: { case: "typedConfig", value: pack(ConfigSchema, message) },
  };
}

function kept(
  key: string,
  text: string,
  formatters: readonly (typeof SECRET_FORMATTER)[],
): MessageInitShape<typeof FilterStateValueSchema> {
  return {
    key: { case: "objectKey", value: key },
    factoryKey: "envoy.string",
    value: {
      case: "formatString",
      value: {
        format: {
          case: "textFormatSource",
          value: { specifier: { case: "inlineString", value: text } },
        },
        formatters: [...formatters],
      },
    },
  };
}

/** In a format: that path; of what was refused before any filter, what there is. */
export const REQUEST_PATH = `%COALESCE(${JSON.stringify({
  operators: [
    { command: "FILTER_STATE", param: `${KEY}:PLAIN` },
    { command: "REQ", param: ":PATH" },
  ],
})})%`;
