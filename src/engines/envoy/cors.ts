import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { CorsPolicy } from "../../model/route.ts";
import { pack } from "../../protobuf/any.ts";
import { CorsPolicySchema } from "../../protobuf/generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";

export const CORS_FILTER = "envoy.filters.http.cors";

/** A route's policy for the CORS filter, which stands before authorization and answers preflights of allowed origins. */
export function envoyCors(policy: CorsPolicy): Any {
  return pack(
    CorsPolicySchema,
    create(CorsPolicySchema, {
      allowOriginStringMatch: policy.origins.map((origin) => ({
        matchPattern:
          origin === "*"
            ? { case: "safeRegex" as const, value: { regex: ".*" } }
            : { case: "exact" as const, value: origin },
      })),
      allowMethods: policy.methods ?? "",
      allowHeaders: policy.headers ?? "",
      exposeHeaders: policy.exposedHeaders ?? "",
      maxAge: policy.maxAgeSeconds === undefined ? "" : String(policy.maxAgeSeconds),
      allowCredentials: policy.credentials,
    }),
  );
}
