import { clone, create } from "@bufbuild/protobuf";
import {
  type Route,
  type RouteMatch,
  RouteMatchSchema,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from "../../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { failureRoute } from "../direct-response.ts";

/** What takes the place of a refused route. */
export interface Closing {
  /** Null: not even its path is understood, so nothing can stand for it alone. */
  readonly route: Route | null;
  /** It takes more requests than the refused one: conditions of its match are refused and left out. */
  readonly isWider: boolean;
}

/**
 * Finds a route that answers 503 for all that the refused one takes: it may take more, and never less, since what it did
 * not take would fall to a route behind it. Yields routes to try, and is told whether each is accepted.
 */
export function* closingOf(refused: Route): Generator<Route, Closing, boolean> {
  const { match } = refused;
  const asItIs = closed(refused, match);
  if (yield asItIs) return { route: asItIs, isWider: false };
  if (match === undefined) return NOTHING;
  const everything = closed(refused, pathAlone(match));
  if (!(yield everything)) return NOTHING;
  // Each condition by itself: those that are understood stay.
  const kept = pathAlone(match);
  for (const header of match.headers) {
    const alone = pathAlone(match);
    alone.headers = [header];
    if (yield closed(refused, alone)) kept.headers.push(header);
  }
  for (const parameter of match.queryParameters) {
    const alone = pathAlone(match);
    alone.queryParameters = [parameter];
    if (yield closed(refused, alone)) kept.queryParameters.push(parameter);
  }
  const narrowest = closed(refused, kept);
  return { route: (yield narrowest) ? narrowest : everything, isWider: true };
}

/** A virtual host that answers 503 whatever it is asked. */
export function closedHost({ name, domains }: VirtualHost): VirtualHost {
  return create(VirtualHostSchema, {
    name,
    domains: [...domains],
    routes: [{ match: { pathSpecifier: { case: "prefix", value: "" } }, ...failureRoute(FAILURE) }],
  });
}

const NOTHING: Closing = { route: null, isWider: false };

function closed({ name }: Route, match: RouteMatch | undefined): Route {
  return create(RouteSchema, {
    name,
    ...(match === undefined ? {} : { match: clone(RouteMatchSchema, match) }),
    ...failureRoute(FAILURE),
  });
}

const FAILURE = { reason: "route_fails_closed", code: "engine-refused" } as const;

/** With its share of a weighted route: the others of it are routes of their own. */
function pathAlone({ pathSpecifier, caseSensitive, runtimeFraction }: RouteMatch): RouteMatch {
  const whole = create(RouteMatchSchema);
  whole.pathSpecifier = pathSpecifier;
  if (runtimeFraction !== undefined) whole.runtimeFraction = runtimeFraction;
  if (caseSensitive !== undefined) whole.caseSensitive = caseSensitive;
  return clone(RouteMatchSchema, whole);
}
