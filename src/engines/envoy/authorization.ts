import type { GatewayModel } from "../../model/gateway.ts";
import type { HttpFilter } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { Any } from "@bufbuild/protobuf/wkt";

/** The ext_authz filters that ask the model's AuthServices; none: nobody is asked. */
export function authorizationFilters(_model: GatewayModel): HttpFilter[] {
  return [];
}

/** `typed_per_filter_config` entries of a route that goes past the authorization (`bypass_auth`, redirects, closed routes). */
export function withoutAuthorization(_model: GatewayModel): Readonly<Record<string, Any>> {
  return {};
}
