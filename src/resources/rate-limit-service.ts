import { Type } from "typebox";
import { doc, milliseconds, oneOf, text } from "./field-doc.ts";

/** Fields of a RateLimitService (reference §1). */
export const RATE_LIMIT_SERVICE_FIELDS = {
  service: Type.String({
    minLength: 1,
    ...doc({
      is: "[scheme://]host[:port]",
      does: "The rate limit service (Envoy's gRPC interface).",
      example: "ratelimit.default:5000",
    }),
  }),
  domain: text({
    is: "a word",
    does: "Whose limits are meant; one service may keep several.",
    byDefault: "ambassador",
  }),
  timeout_ms: milliseconds({ does: "How long the answer may take.", byDefault: "20" }, 1),
  tls: Type.Optional(
    Type.Union(
      [Type.Boolean(), Type.String({ minLength: 1 })],
      doc({ is: "true, or the name of a TLSContext", does: "Speaks TLS to the service." }),
    ),
  ),
  protocol_version: oneOf(["v2", "v3"], { does: "The version of Envoy's gRPC interface.", byDefault: "v2" }),
};

export const RATE_LIMIT_SERVICE = Type.Object(RATE_LIMIT_SERVICE_FIELDS);
