import { clone, create, fromBinary } from "@bufbuild/protobuf";
import {
  type Route,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from "../../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { resource } from "../resources.ts";
import { type Closing, closedHost, closingOf } from "./closing.ts";
import { ownerOf } from "./owner.ts";
import { type EncodedResource, encode } from "./encoded.ts";
import { keyOf, mapRoutes, routesOf } from "./virtual-host-routes.ts";

export interface Verdict {
  readonly accepted: boolean;
  /** Empty when accepted. */
  readonly detail: string;
}

/** What a refused virtual host becomes. */
export interface Mended {
  /** Null: its last good version stays. */
  readonly replacement: EncodedResource | null;
  /** The routes that are refused; empty where none of them is to blame. */
  readonly culprits: readonly Culprit[];
  /** What becomes of the host where no route can be closed by itself; null: its other routes are served. */
  readonly host: "last-good" | "host-closed" | null;
}

export interface Culprit {
  /** E.g. `mapping/default/shop`. */
  readonly name: string;
  /** What the client said about it. */
  readonly detail: string;
  /** `closed`: answers 503; `closed-wider`: and so do requests that it would not have taken; else what `host` says. */
  readonly instead: "closed" | "closed-wider" | "last-good" | "host-closed";
}

/**
 * Finds the routes for which a client refuses a virtual host, by sending it scratch virtual hosts of a domain that nobody asks
 * for, each with a part of the routes, and halving. Yields what to send, is told the verdict; returns the virtual host with
 * each bad route answering 503. Where not even its path is understood nothing may take its requests: the host's last
 * good version stays, or without one the whole host answers 503.
 */
export function* narrow(
  refused: EncodedResource,
  lastGood: () => string | undefined,
): Generator<EncodedResource, Mended, Verdict> {
  const host = fromBinary(VirtualHostSchema, refused.bytes);
  const bad = yield* badRoutes(refused, routesOf(host));
  const instead = new Map<string, Closing>();
  for (const { route } of bad) instead.set(keyOf(route), yield* closing(refused, route));
  if (bad.length > 0 && [...instead.values()].every(({ route }) => route !== null)) {
    const mended = mapRoutes(host, (route) => instead.get(keyOf(route))?.route ?? route);
    return {
      replacement: replacing(refused, mended),
      culprits: bad.map(({ route, detail }) => ({
        name: route.name,
        detail,
        instead: instead.get(keyOf(route))?.isWider === true ? "closed-wider" : "closed",
      })),
      host: null,
    };
  }
  return wholeHost(
    refused,
    lastGood(),
    bad.map(({ route, detail }) => ({ name: route.name, detail })),
  );
}

/** What is left where the routes cannot be closed one by one. `lastGood`: the version of what the client has. */
export function wholeHost(
  refused: EncodedResource,
  lastGood: string | undefined,
  culprits: readonly Omit<Culprit, "instead">[],
): Mended {
  const closed = replacing(refused, closedHost(fromBinary(VirtualHostSchema, refused.bytes)));
  // Closed before, it goes on being closed.
  const host = lastGood === undefined || lastGood === closed.version ? "host-closed" : "last-good";
  return {
    replacement: host === "host-closed" ? closed : null,
    culprits: culprits.map(({ name, detail }) => ({ name, detail, instead: host })),
    host,
  };
}

/** Where a scratch virtual host lies while its refused sibling is looked into. */
export function scratchName(virtualHost: string): string {
  return `${ownerOf(virtualHost)}/${SCRATCH_DOMAIN}`;
}

/** RFC 2606: never the name of anything. */
const SCRATCH_DOMAIN = "nack-probe.invalid";

function* badRoutes(
  refused: EncodedResource,
  routes: Route[],
): Generator<EncodedResource, { route: Route; detail: string }[], Verdict> {
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
  return bad;
}

function* closing(refused: EncodedResource, route: Route): Generator<EncodedResource, Closing, Verdict> {
  const steps = closingOf(route);
  let step = steps.next();
  while (step.done !== true) {
    const { accepted } = yield scratch(refused, [step.value]);
    step = steps.next(accepted);
  }
  return step.value;
}

function replacing({ name, from }: EncodedResource, host: VirtualHost): EncodedResource {
  return encode(resource("virtual-host", name, host, from));
}

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
