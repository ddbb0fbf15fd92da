import type { MessageInitShape } from "@bufbuild/protobuf";
import type { JsonObject } from "@bufbuild/protobuf";
import type { ErrorResponse } from "../../model/route.ts";
import type {
  SubstitutionFormatString,
  SubstitutionFormatStringSchema,
} from "../../protobuf/generated/envoy/config/core/v3/substitution_format_string_pb.js";

/** A body that replaces an error's (`error_response_overrides`) in Envoy's words. */
export function bodyFormat(
  response: ErrorResponse,
): Exclude<MessageInitShape<typeof SubstitutionFormatStringSchema>, SubstitutionFormatString> {
  const { contentType, body, json } = response;
  const text = onlyKnownOperators(body, /html|xml/i.test(contentType));
  const fields = json === true ? fieldsOf(text) : null;
  return {
    format:
      fields === null
        ? { case: "textFormatSource", value: { specifier: { case: "inlineString", value: text } } }
        : { case: "jsonFormat", value: fields },
    contentType,
  };
}

/**
 * Of operators Envoy refuses what it does not know, so a stray `%` is doubled and an unknown operator is `-`, as on the
 * other engine. In markup so is whatever repeats the request's or the upstream's words: Envoy does not escape them.
 */
function onlyKnownOperators(body: string, isMarkup: boolean): string {
  return body.replace(/%(?:%|([A-Z_]+)(\([^)]*\))?(:\d+)?%)?/g, (found, name?: string, argument?: string) => {
    if (found === "%" || found === "%%") return "%%";
    if (name === "RESPONSE_CODE" || name === "PROTOCOL") return argument === undefined ? `%${name}%` : "-";
    if ((name === "REQ" || name === "RESP") && argument !== undefined && FIELD_NAMES.test(argument))
      return isMarkup ? "-" : found;
    return "-";
  });
}

const FIELD_NAMES = /^\(:?[!#$&'*+.^_`|~0-9A-Za-z-]+(?:\?:?[!#$&'*+.^_`|~0-9A-Za-z-]+)?\)$/;

/** Envoy's JSON format escapes what operators give; null where the template is no object of texts. */
function fieldsOf(template: string): JsonObject | null {
  try {
    const parsed: unknown = JSON.parse(template.replaceAll(":%RESPONSE_CODE%", ':"%RESPONSE_CODE%"'));
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? (parsed as JsonObject)
      : null;
  } catch {
    return null;
  }
}
