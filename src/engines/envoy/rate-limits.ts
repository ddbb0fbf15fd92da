import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RateLimitLabel, Route } from "../../model/route.ts";
import type {
  RateLimit_ActionSchema,
  RateLimitSchema,
} from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";

/** What requests of the route are counted as: a descriptor for each limit. */
export function rateLimitsOf({ rateLimits = [] }: Route): MessageInitShape<typeof RateLimitSchema>[] {
  return rateLimits.map((labels) => ({ actions: labels.map(action) }));
}

function action(label: RateLimitLabel): MessageInitShape<typeof RateLimit_ActionSchema> {
  switch (label.kind) {
    case "source-cluster":
      return { actionSpecifier: { case: "sourceCluster", value: {} } };
    case "destination-cluster":
      return { actionSpecifier: { case: "destinationCluster", value: {} } };
    case "remote-address":
      return { actionSpecifier: { case: "remoteAddress", value: {} } };
    case "generic-key":
      return { actionSpecifier: { case: "genericKey", value: { descriptorValue: label.value } } };
    case "header": {
      const { key: descriptorKey, name: headerName, omitted: skipIfAbsent = false } = label;
      return {
        actionSpecifier: { case: "requestHeaders", value: { headerName, descriptorKey, skipIfAbsent } },
      };
    }
  }
}
