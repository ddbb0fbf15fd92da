import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HashPolicy } from "../../model/route.ts";
import type { RouteAction_HashPolicySchema } from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";

/** What a request stays with; a cookie with a lifetime is made by Envoy where it is missing (0: for the session). */
export function envoyHashPolicy(policy: HashPolicy): MessageInitShape<typeof RouteAction_HashPolicySchema> {
  if (policy.kind === "source-ip")
    return { policySpecifier: { case: "connectionProperties", value: { sourceIp: true } } };
  if (policy.kind === "header")
    return { policySpecifier: { case: "header", value: { headerName: policy.name } } };
  return {
    policySpecifier: {
      case: "cookie",
      value: {
        name: policy.name,
        path: policy.path ?? "",
        ...(policy.ttlSeconds === undefined
          ? {}
          : { ttl: { seconds: BigInt(Math.floor(policy.ttlSeconds)), nanos: 0 } }),
      },
    },
  };
}
