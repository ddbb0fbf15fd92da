import { clone, create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { pack, typeUrlOf } from "../../../protobuf/any.ts";
import {
  type Route,
  type RouteList,
  RouteListSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from "../../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import type { Matcher, Matcher_OnMatch } from "../../../protobuf/generated/xds/type/matcher/v3/matcher_pb.js";

/** Every route of a virtual host, in its list or in its matcher; one that stands at several places of the matcher comes once. */
export function routesOf(host: VirtualHost): Route[] {
  const routes = new Map<string, Route>();
  const add = (route: Route): Route => {
    routes.set(keyOf(route), route);
    return route;
  };
  mapRoutes(host, add);
  return [...routes.values()];
}

/** A copy of the virtual host with each route as `change` says; null leaves it out. */
export function mapRoutes(host: VirtualHost, change: (route: Route) => Route | null): VirtualHost {
  const copy = clone(VirtualHostSchema, host);
  copy.routes = changed(copy.routes, change);
  if (copy.matcher !== undefined) changeMatcher(copy.matcher, change);
  return copy;
}

/** Equal routes have equal keys. */
export function keyOf(route: Route): string {
  return Buffer.from(toBinary(RouteSchema, route)).toString("latin1");
}

function changed(routes: readonly Route[], change: (route: Route) => Route | null): Route[] {
  return routes.map(change).filter((route) => route !== null);
}

function changeMatcher(matcher: Matcher, change: (route: Route) => Route | null): void {
  changeOnMatch(matcher.onNoMatch, change);
  const { matcherType } = matcher;
  if (matcherType.case === "matcherList") {
    for (const { onMatch } of matcherType.value.matchers) changeOnMatch(onMatch, change);
  } else if (matcherType.case === "matcherTree") {
    const { treeType } = matcherType.value;
    if (treeType.case === "exactMatchMap" || treeType.case === "prefixMatchMap") {
      for (const onMatch of Object.values(treeType.value.map)) changeOnMatch(onMatch, change);
    }
  }
}

function changeOnMatch(on: Matcher_OnMatch | undefined, change: (route: Route) => Route | null): void {
  if (on?.onMatch.case === "matcher") changeMatcher(on.onMatch.value, change);
  else if (on?.onMatch.case === "action") {
    const extension = on.onMatch.value;
    if (extension.typedConfig !== undefined)
      extension.typedConfig = changedAction(extension.typedConfig, change);
  }
}

/** A Route or a RouteList. A route that is left out leaves an empty list, which matches nothing. */
function changedAction(action: Any, change: (route: Route) => Route | null): Any {
  const list = routeListOf(action);
  if (list === null) return action;
  const routes = changed(list.routes, change);
  if (action.typeUrl === typeUrlOf(RouteSchema) && routes[0] !== undefined)
    return pack(RouteSchema, routes[0]);
  const next = create(RouteListSchema, { routes });
  return equals(RouteListSchema, next, list) ? action : pack(RouteListSchema, next);
}

function routeListOf({ typeUrl, value }: Any): RouteList | null {
  if (typeUrl === typeUrlOf(RouteListSchema)) return fromBinary(RouteListSchema, value);
  if (typeUrl === typeUrlOf(RouteSchema))
    return create(RouteListSchema, { routes: [fromBinary(RouteSchema, value)] });
  return null;
}
