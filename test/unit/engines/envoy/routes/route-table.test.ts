import assert from "node:assert/strict";
import { test } from "node:test";
import { type create, toBinary } from "@bufbuild/protobuf";
import { translateRouteConfigurations } from "../../../../../src/engines/envoy/route-configurations.ts";
import { SCHEMAS, type XdsResource } from "../../../../../src/engines/envoy/resources.ts";
import type { GatewayModel } from "../../../../../src/model/gateway.ts";
import type { PathMatch, Route } from "../../../../../src/model/route.ts";
import {
  RouteListSchema,
  type VirtualHostSchema,
} from "../../../../../src/protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { fromBinary } from "@bufbuild/protobuf";

const route = (order: number, path: PathMatch, host?: string): Route => ({
  name: `mapping/d/${order}`,
  match: { path, ...(host === undefined ? {} : { host }) },
  destinations: [
    { name: `mapping/d/${order}`, weight: 1, action: { kind: "forward", cluster: "up", timeoutMs: 1 } },
  ],
});

function translate(routes: readonly Route[]): XdsResource<"route-configuration" | "virtual-host">[] {
  const model: GatewayModel = {
    http: {
      useRemoteAddress: true,
      xffTrustedHops: 0,
      mergeSlashes: false,
      rejectEscapedSlashes: false,
      preserveRequestId: false,
      stripMatchingHostPort: false,
      serverName: "credence",
    },
    listeners: [{ name: "http", address: "::", port: 8080, transport: "cleartext", action: "serve" }],
    virtualHosts: [{ domain: "*", origin: "gateway", tls: { mode: "cleartext" }, cleartext: "route" }],
    routes,
    clusters: [],
  };
  return translateRouteConfigurations(model, { generations: new Map(), ports: new Map() });
}

function hostOf(
  resources: readonly XdsResource[],
  name: string,
): ReturnType<typeof create<typeof VirtualHostSchema>> {
  const found = resources.find((each) => each.kind === "virtual-host" && each.name === name);
  assert(found !== undefined);
  return found.message as ReturnType<typeof create<typeof VirtualHostSchema>>;
}

test("a route configuration fetches its virtual hosts, and each has the routes of its name and of any", () => {
  const resources = translate([
    route(0, { kind: "prefix", value: "/a" }, "a.example"),
    route(1, { kind: "prefix", value: "/b" }, "b.example:8080"),
    route(2, { kind: "prefix", value: "/" }),
    route(3, { kind: "prefix", value: "/c" }, "*.example"),
  ]);
  assert.deepEqual(
    resources.map(({ kind, name, from }) => [kind, name, from]),
    [
      ["route-configuration", "http", []],
      ["virtual-host", "http/*", ["mapping/d/2"]],
      ["virtual-host", "http/a.example", ["mapping/d/0", "mapping/d/2"]],
      ["virtual-host", "http/b.example", ["mapping/d/1", "mapping/d/2"]],
    ],
  );
  assert.deepEqual(hostOf(resources, "http/a.example").domains, ["a.example"]);
});

test("in a tree the lists are short: what no request can reach by a path is not in its list", () => {
  const routes = Array.from({ length: 500 }, (_, order) =>
    route(order, { kind: "prefix", value: `/service-${order}/` }),
  );
  const { matcher } = hostOf(translate([...routes, route(500, { kind: "prefix", value: "/" })]), "http/*");
  const gated = matcher?.onNoMatch?.onMatch;
  assert(matcher?.matcherType.case === "matcherList" && gated?.case === "matcher");
  const tree = gated.value.matcherType;
  assert(tree.case === "matcherTree" && tree.value.treeType.case === "prefixMatchMap");
  const lists = Object.entries(tree.value.treeType.value.map);
  assert.equal(lists.length, 501);
  for (const [, { onMatch }] of lists) {
    assert(onMatch.case === "action" && onMatch.value.typedConfig !== undefined);
    assert.equal(fromBinary(RouteListSchema, onMatch.value.typedConfig.value).routes.length, 1);
  }
});

test("a tree that would be many times its routes is left a list", () => {
  const routes = Array.from({ length: 2000 }, (_, order) =>
    route(
      order,
      order % 2 === 0 ? { kind: "regex", value: `/r${order}.*` } : { kind: "prefix", value: `/p${order}` },
    ),
  );
  const host = hostOf(translate(routes), "http/*");
  assert.equal(host.matcher, undefined);
  // One more says that a host must be one.
  assert.equal(host.routes.length, 2001);
});

test("the same model gives the same bytes", () => {
  const routes = Array.from({ length: 60 }, (_, order) =>
    route(order, { kind: "prefix", value: `/p${order % 20}` }, order % 3 === 0 ? `h${order % 4}` : undefined),
  );
  const bytes = (): string[] =>
    translate(routes).map(({ kind, message }) =>
      Buffer.from(toBinary(SCHEMAS[kind], message)).toString("base64"),
    );
  assert.deepEqual(bytes(), bytes());
});
