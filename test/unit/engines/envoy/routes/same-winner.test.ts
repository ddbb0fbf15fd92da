import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../../support/fast-check.ts";
import { routesOf } from "../../../../../src/engines/envoy/ads/virtual-host-routes.ts";
import { routeScopes } from "../../../../../src/engines/envoy/route-scopes.ts";
import { virtualHosts } from "../../../../../src/engines/envoy/virtual-hosts.ts";
import type { Route as EnvoyRoute } from "../../../../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { type GeneratedRequest, models, requests } from "./generated.ts";
import { type EnvoyRequest, findRoute } from "./interpreter.ts";
import { climbs, OtherEngine, type Verdict } from "./other-engine.ts";

const RUNS = { numRuns: Number(process.env.CREDENCE_FUZZ_RUNS ?? 200) };

/** Few enough that some models share virtual hosts among hosts. */
for (const maxRoutes of [undefined, 60]) {
  const how = maxRoutes === undefined ? "a virtual host for each host" : "virtual hosts for several";
  test(`in ${how}, the route that Envoy finds is the one that the node engine takes`, () => {
    let trees = 0;
    let bare = 0;
    fc.assert(
      fc.property(
        models,
        fc.array(fc.tuple(requests, fc.nat(999_999)), { minLength: 30, maxLength: 60 }),
        (model, asked) => {
          const other = new OtherEngine(model);
          for (const scope of routeScopes(model)) {
            const https = model.listeners.find(({ name }) => name === "https")?.port ?? null;
            const hosts = virtualHosts(scope, model, https, maxRoutes).map(({ message }) => message);
            trees += hosts.filter(({ matcher }) => matcher !== undefined).length;
            bare += hosts.filter(
              (host) => host.domains[0] === "a.example" && routesOf(host).some(isForOtherPorts),
            ).length;
            for (const [request, draw] of asked) {
              const seen = asEnvoySees(request, draw, scope.clients !== null);
              compare(findRoute(hosts, seen), other.decide(request, scope), seen, request);
            }
          }
        },
      ),
      RUNS,
    );
    assert(trees > 50, `${trees} trees`);
    assert(bare > 5, `${bare} virtual hosts whose routes ask for no port`);
  });
}

function compare(
  found: EnvoyRoute | null,
  verdict: Verdict,
  seen: EnvoyRequest,
  request: GeneratedRequest,
): void {
  if (verdict.kind === "refuse") {
    assert.equal(statusOf(found), verdict.status);
  } else if (verdict.kind === "redirect") {
    // A name is a Mapping's.
    assert.equal(found?.name, "");
    assert.equal(
      policyLocation(found, seen),
      verdict.location.replace(/^https:\/\/([^/]*?):443\//, "https://$1/"),
    );
  } else {
    const { route } = verdict;
    const index = route.destinations.findIndex(({ name }) => name === found?.name);
    assert.notEqual(index, -1, `${found?.name} instead of ${route.name}`);
    const destination = route.destinations[index];
    const path = request.target;
    if (statusOf(found) === 400) {
      // Stricter than the other engine where a dot segment would not climb above the root.
      assert(climbs(route, index, path) || /\.(?:\/|\?|$)/.test(path), `${path} is refused`);
    } else {
      assert(!climbs(route, index, path), `${path} climbs`);
      const kind = { directResponse: "fail", redirect: "redirect", route: "forward" }[
        found?.action.case as string
      ];
      assert.equal(kind, destination?.action.kind);
    }
  }
}

function isForOtherPorts(route: EnvoyRoute): boolean {
  const [condition] = route.match?.headers ?? [];
  return statusOf(route) === 404 && condition?.name === ":authority" && condition.invertMatch;
}

function statusOf(route: EnvoyRoute | null): number | null {
  if (route === null) return 404;
  return route.action.case === "directResponse" ? route.action.value.status : null;
}

/** What the connection manager makes of a request. */
function asEnvoySees(request: GeneratedRequest, draw: number, secure: boolean): EnvoyRequest {
  const headers = new Map<string, string>();
  for (const [name, value] of request.headers) {
    if (name.startsWith("x-envoy-") || name === "l5d-dst-override") continue;
    headers.set(name, headers.has(name) ? `${headers.get(name)},${value}` : value);
  }
  if (!/^https?$/i.test(headers.get("x-forwarded-proto") ?? ""))
    headers.set("x-forwarded-proto", secure ? "https" : "http");
  return {
    method: request.method,
    path: request.target,
    authority: request.host.replace(/\.(?=:\d+$|$)/, ""),
    headers,
    draw,
  };
}

/** Envoy's Location, in the lower case of names, less a port that says nothing. */
function policyLocation(route: EnvoyRoute | null, { authority, path }: EnvoyRequest): string {
  assert(route?.action.case === "redirect");
  const { hostRedirect, portRedirect } = route.action.value;
  const host =
    hostRedirect || (portRedirect === 0 ? authority.replace(/:80$/, "") : authority.replace(/:\d+$/, ""));
  const port = portRedirect === 0 || portRedirect === 443 ? "" : `:${portRedirect}`;
  return `https://${host.toLowerCase()}${port}${path}`;
}
