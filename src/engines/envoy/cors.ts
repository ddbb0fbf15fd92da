import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { CorsPolicy } from "../../model/route.ts";
import { pack } from "../../protobuf/any.ts";
import { HeaderMutationPerRouteSchema } from "../../protobuf/generated/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { headerChanges } from "./header-changes.ts";
import { CorsPolicySchema } from "../../protobuf/generated/envoy/extensions/filters/http/cors/v3/cors_pb.js";

export const CORS_FILTER = "envoy.filters.http.cors";
/** It stands outside of the CORS filter, so that it has that one's own answers too. */
export const HEADER_FILTER = "envoy.filters.http.header_mutation";

/** What a route with a policy tells the filters, by filter. */
export function corsFilters(policy: CorsPolicy | undefined): Readonly<Record<string, Any>> {
  return policy === undefined ? {} : { [CORS_FILTER]: envoyCors(policy), [HEADER_FILTER]: VARY };
}

/** A route's policy for the CORS filter, which stands before authorization and answers preflights of allowed origins. */
function envoyCors(policy: CorsPolicy): Any {
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

/** The answer depends on who asks: a cache may not give it to another (Fetch standard), and Envoy does not say so. */
const VARY = pack(
  HeaderMutationPerRouteSchema,
  create(HeaderMutationPerRouteSchema, {
    mutations: {
      responseMutations: headerChanges({ add: [{ name: "vary", value: "Origin", append: true }] }).add.map(
        (value) => ({ action: { case: "append" as const, value } }),
      ),
    },
  }),
);
