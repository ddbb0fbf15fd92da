import { Type } from "typebox";
import { count, doc, flag, mapOf, text } from "./field-doc.ts";

const Constraint = Type.Union([Type.String(), Type.Boolean()]);

/** Fields of a Mapping that say which requests it takes (reference §2.5.1). */
export const MATCH_FIELDS = {
  prefix: Type.String({
    minLength: 1,
    ...doc({
      is: "a path that begins with /, or with prefix_regex a regular expression",
      does: "Takes requests whose path begins with this text.",
      example: "/backend/",
    }),
  }),
  prefix_exact: flag({ does: "Takes only the path that is `prefix` itself.", byDefault: "false" }),
  prefix_regex: flag({
    does: "Reads `prefix` as a regular expression (RE2) that the whole path must match.",
    byDefault: "false",
  }),
  case_sensitive: flag({ does: "false: upper and lower case of the path are the same.", byDefault: "true" }),
  host: text({
    is: "a host name, or with host_regex a regular expression",
    does: "Takes requests for this host only, its port included unless the Module says strip_matching_host_port.",
    example: "quote.example.com",
  }),
  host_regex: flag({
    does: "Reads `host` as a regular expression (RE2) that the whole host must match.",
    byDefault: "false",
  }),
  method: text({
    is: "an HTTP method, or with method_regex a regular expression",
    does: "Takes requests with this method only.",
    example: "GET",
  }),
  method_regex: flag({
    does: "Reads `method` as a regular expression (RE2) that the whole method must match.",
    byDefault: "false",
  }),
  headers: mapOf(Constraint, {
    is: "a map of header names to values, or true for any value",
    does: "Takes requests only that have each of these headers with exactly that value, or with `true` at all.",
    example: { "x-canary": "always" },
  }),
  regex_headers: mapOf(Type.String(), {
    is: "a map of header names to regular expressions",
    does: "Takes requests only whose headers match these expressions (RE2) as a whole.",
    example: { "x-version": "v[12]" },
  }),
  query_parameters: mapOf(Constraint, {
    is: "a map of parameter names to values, or true for any value",
    does: "Takes requests only whose query has each of these parameters with exactly that value, or with `true` at all.",
    example: { version: "2" },
  }),
  regex_query_parameters: mapOf(Type.String(), {
    is: "a map of parameter names to regular expressions",
    does: "Takes requests only whose query parameters match these expressions (RE2) as a whole.",
    example: { version: "[23]" },
  }),
  precedence: Type.Optional(
    Type.Integer(
      doc({
        is: "a whole number",
        does: "Mappings with a higher precedence are asked first, whatever their prefix.",
        byDefault: "0",
      }),
    ),
  ),
  weight: count(
    {
      does: "Per cent of the requests that this Mapping takes among those with the same match; for a shadow, of those copied.",
      byDefault: "an equal share of what the others leave",
      example: 20,
    },
    0,
    100,
  ),
};
