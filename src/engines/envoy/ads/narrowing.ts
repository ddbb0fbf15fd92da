import { clone, create, fromBinary } from "@bufbuild/protobuf";
import {
  type Route,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from "../../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { resource } from "../resources.ts";
import { ownerOf } from "./owner.ts";
import { type EncodedResource, encode } from "./snapshot.ts";
import { keyOf, mapRoutes, routesOf } from "./virtual-host-routes.ts";

export interface Verdict {
  readonly accepted: boolean;
  /** Empty when accepted. */
  readonly detail: string;
}

/** What a refused virtual host becomes. */
export interface Mended {
  readonly replacement: EncodedResource;
  /** Names of the routes that are refused, e.g. `mapping/default/shop`, each with what the client said about it. */
  readonly culprits: readonly { readonly name: string; readonly detail: string }[];
}

/**
 * Finds the routes for which a client refuses a virtual host, by sending it scratch virtual hosts of a domain that nobody asks
 * for, each with a part of the routes, and halving. Yields what to send, is told the verdict; returns the virtual host with
 * each bad route answering 503, or without it where not even its match is understood. Null: no route is to blame.
 */
export function* narrow(refused: EncodedResource): Generator<EncodedResource, Mended | null, Verdict> {
  const host = fromBinary(VirtualHostSchema, refused.bytes);
  const routes = routesOf(host);
  const bad: { route: Route; detail: string }[] = [];
  const waiting: Route[][] = routes.length === 0 ? [] : [routes];
  for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
    const { accepted, detail } = yield scratch(refused, part);
    if (accepted) continue;
    const [only] = part;
    if (part.length === 1 && only !== undefined) bad.push({ route: only, detail });
    else {
      const middle = Math.ceil(part.length / 2);
      waiting.unshift(part.slice(0, middle), part.slice(middle));
    }
  }
  if (bad.length === 0) return null;
  const instead = new Map<string, Route | null>();
  for (const { route } of bad) {
    const closed = closedRoute(route);
    const { accepted } = yield scratch(refused, [closed]);
    instead.set(keyOf(route), accepted ? closed : null);
  }
  const mended = mapRoutes(host, (route) => {
    const other = instead.get(keyOf(route));
    return other === undefined ? route : other;
  });
  return {
    replacement: encode(resource("virtual-host", refused.name, mended, refused.from)),
    culprits: bad.map(({ route, detail }) => ({ name: route.name, detail })),
  };
}

/** Where a scratch virtual host lies while its refused sibling is looked into. */
export function scratchName(virtualHost: string): string {
  return `${ownerOf(virtualHost)}/${SCRATCH_DOMAIN}`;
}

/** RFC 2606: never the name of anything. */
const SCRATCH_DOMAIN = "nack-probe.invalid";

function scratch(refused: EncodedResource, routes: readonly Route[]): EncodedResource {
  const name = scratchName(refused.name);
  const message: VirtualHost = create(VirtualHostSchema, {
    // Envoy removes a virtual host by this name, which therefore is the resource's.
    name,
    domains: [SCRATCH_DOMAIN],
    routes: routes.map((route) => clone(RouteSchema, route)),
  });
  return encode(resource("virtual-host", name, message, []));
}

/** The same requests, answered 503: they must not fall to another route. */
function closedRoute(route: Route): Route {
  const { name, match } = clone(RouteSchema, route);
  return create(RouteSchema, {
    name,
    ...(match === undefined ? {} : { match }),
    action: { case: "directResponse", value: { status: 503 } },
  });
}
