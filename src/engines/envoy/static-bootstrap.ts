import { createAuthority } from "../../x509/authority.ts";
import { allMessages } from "../../protobuf/registry.ts";
import { mapObjects, resourceJson } from "./json-resources.ts";
import { type Json, type JsonObject, ownCluster } from "./process/bootstrap.ts";
import type { XdsKind, XdsResource } from "./resources.ts";

/**
 * The resources as a bootstrap that needs no control plane, for `envoy --mode validate`: routes inline in their listeners,
 * endpoints in their clusters. Secrets by name get a certificate that is made on the spot: real keys are not for files.
 */
export async function staticBootstrap(resources: readonly XdsResource[]): Promise<JsonObject> {
  const registry = await allMessages();
  const all = (kind: XdsKind): JsonObject[] =>
    resources.filter((found) => found.kind === kind).map((found) => resourceJson(found, registry));
  const routes = routeConfigurations(resources, registry, all("route-configuration"));
  const endpoints = new Map(all("endpoints").map((each) => [each.clusterName, each]));
  const secrets = new Map<string, string>();
  const inline = (resource: JsonObject): JsonObject =>
    mapObjects(resource, (object, key) => {
      if ("sdsConfig" in object && typeof object.name === "string") {
        secrets.set(object.name, key);
        return { name: object.name };
      }
      if (isObject(object.rds)) return withRoutes(object, object.rds, routes);
      if (isObject(object.edsClusterConfig)) return withEndpoints(object, endpoints);
      return object;
    }) as JsonObject;
  const clusters = all("cluster").map(inline);
  const listeners = all("listener").map(inline);
  return {
    node: { id: "validate", cluster: "credence" },
    static_resources: {
      clusters: [ownCluster({ socket: "/nonexistent/xds.sock" }), ...clusters],
      listeners,
      secrets: await standIns(secrets),
    },
  };
}

type Registry = Awaited<ReturnType<typeof allMessages>>;

/** By name, each with its virtual hosts in it, in the order of their names. */
function routeConfigurations(
  resources: readonly XdsResource[],
  registry: Registry,
  configurations: readonly JsonObject[],
): Map<Json | undefined, JsonObject> {
  const hosts = resources.filter(({ kind }) => kind === "virtual-host");
  return new Map(
    configurations.map(({ vhds: _, ...configuration }) => {
      const own = hosts
        .filter(({ name }) => ownerOf(name) === configuration.name)
        .map((host) => resourceJson(host, registry));
      const given = (configuration.virtualHosts ?? []) as Json[];
      return [configuration.name, { ...configuration, virtualHosts: [...given, ...own] }];
    }),
  );
}

/** `ROUTE CONFIGURATION/DOMAIN` */
function ownerOf(virtualHost: string): string {
  return virtualHost.slice(0, virtualHost.lastIndexOf("/"));
}

function withRoutes(
  { rds: _, ...manager }: JsonObject,
  rds: JsonObject,
  routes: ReadonlyMap<Json | undefined, JsonObject>,
): JsonObject {
  const name = rds.routeConfigName as string;
  // What nobody sends would keep a listener waiting: it must not pass for good.
  const routeConfig = routes.get(name);
  if (routeConfig === undefined) throw new Error(`no route configuration has the name ${name}`);
  return { ...manager, routeConfig };
}

function withEndpoints(
  { edsClusterConfig: _, ...cluster }: JsonObject,
  endpoints: ReadonlyMap<Json | undefined, JsonObject>,
): JsonObject {
  const assignment = endpoints.get(cluster.name) ?? { clusterName: cluster.name as string };
  return { ...cluster, type: "STATIC", loadAssignment: assignment };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A certificate or trust anchors for each name that is asked for, by the field that asks. */
async function standIns(wanted: ReadonlyMap<string, string>): Promise<JsonObject[]> {
  if (wanted.size === 0) return [];
  const authority = await createAuthority("stand-in", 1);
  const issued = await authority.issue({ commonName: "stand-in", dnsNames: ["stand-in.example"] });
  const certificate = {
    certificateChain: { inlineString: issued.certificate },
    privateKey: { inlineString: issued.privateKey },
  };
  const trust = { trustedCa: { inlineString: authority.certificate } };
  return [...wanted]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) =>
      field.startsWith("tlsCertificate")
        ? { name, tlsCertificate: certificate }
        : { name, validationContext: trust },
    );
}
