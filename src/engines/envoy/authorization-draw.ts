import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { AuthDestination } from "../../model/auth.ts";
import { pack } from "../../protobuf/any.ts";
import { ConfigSchema as HeaderToMetadataSchema } from "../../protobuf/generated/envoy/extensions/filters/http/header_to_metadata/v3/header_to_metadata_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { MetadataMatcherSchema } from "../../protobuf/generated/envoy/type/matcher/v3/metadata_pb.js";

/**
 * One of several services is asked about each request, by weight. Filters draw each for itself, so the draw is taken from
 * what they have in common: the request id, whose first two digits are random. It is written where filters can look.
 */
export function drawFilter(): MessageInitShape<typeof HttpFilterSchema> {
  const message = create(HeaderToMetadataSchema, {
    requestRules: [{ header: "x-request-id", onHeaderPresent: { metadataNamespace: NAMESPACE, key: KEY } }],
  });
  return {
    name: "credence.authorization.draw",
    configType: { case: "typedConfig", value: pack(HeaderToMetadataSchema, message) },
  };
}

/**
 * Whom the draw falls on. The last service takes whatever no other one takes, an id that is none included: no request may
 * pass without being asked about.
 */
export function drawn(
  services: readonly AuthDestination[],
  service: AuthDestination,
): MessageInitShape<typeof MetadataMatcherSchema> {
  const total = services.reduce((sum, { weight }) => sum + weight, 0);
  const index = services.indexOf(service);
  const before = services.slice(0, index).reduce((sum, { weight }) => sum + weight, 0);
  const from = Math.round((before / total) * DRAWS);
  const to = Math.round(((before + service.weight) / total) * DRAWS);
  return index === services.length - 1 ? { ...drawIn(0, from), invert: true } : drawIn(from, to);
}

const NAMESPACE = "credence.authorization";
const KEY = "request_id";
const DRAWS = 256;

function drawIn(
  from: number,
  to: number,
): {
  filter: string;
  path: { segment: { case: "key"; value: string } }[];
  value: MessageInitShape<typeof MetadataMatcherSchema>["value"];
} {
  const digits = Array.from({ length: to - from }, (_, draw) => (from + draw).toString(16).padStart(2, "0"));
  const regex = `(?:${digits.length === 0 ? "[^\\s\\S]" : digits.join("|")}).*`;
  return {
    filter: NAMESPACE,
    path: [{ segment: { case: "key", value: KEY } }],
    value: {
      matchPattern: {
        case: "stringMatch",
        value: { matchPattern: { case: "safeRegex", value: { regex } } },
      },
    } as never,
  };
}
