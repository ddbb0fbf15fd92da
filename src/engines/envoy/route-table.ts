import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Route } from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import type { MatcherSchema } from "../../protobuf/generated/xds/type/matcher/v3/matcher_pb.js";
import type { RouteEntry } from "./routes.ts";

/** A virtual host's routes: as a list that is scanned, or as a tree that is looked up in. */
export type RouteTable =
  | { readonly routes: readonly Route[]; readonly matcher?: undefined }
  | { readonly matcher: MessageInitShape<typeof MatcherSchema> };

export function routeTable(entries: readonly RouteEntry[]): RouteTable {
  return { routes: entries.map(({ message }) => message) };
}
