import { createAuthority } from "../../x509/authority.ts";
import { ownCluster, RUNTIME } from "./process/bootstrap.ts";
import { isObject, type Json, type JsonObject, mapObjects } from "./process/json.ts";
import { type RenderedResources, renderResources } from "./render.ts";
import type { XdsKind, XdsResource } from "./resources.ts";

/**
 * The resources as a bootstrap that needs no control plane, for `envoy --mode validate`: routes inline in their listeners,
 * endpoints in their clusters. Secrets by name get a certificate that is made on the spot: real keys are not for files.
 */
export async function staticBootstrap(resources: readonly XdsResource[]): Promise<JsonObject> {
  const rendered = renderResources(resources);
  const routes = routeConfigurations(rendered);
  const endpoints = (rendered.endpoints ?? {}) as Readonly<Record<string, JsonObject>>;
  const secrets = new Map<string, string>();
  const inlined = (kind: XdsKind): Json[] =>
    objectsOf(rendered, kind).map((resource) =>
      mapObjects(resource, (object, key) => {
        if ("sds_config" in object && typeof object.name === "string") {
          secrets.set(object.name, key);
          return { name: object.name };
        }
        if (isObject(object.rds)) return withRoutes(object, object.rds, routes);
        if (isObject(object.eds_cluster_config)) return withEndpoints(object, endpoints);
        return object;
      }),
    );
  const clusters = inlined("cluster");
  const listeners = inlined("listener");
  return {
    node: { id: "validate", cluster: "credence" },
    static_resources: {
      clusters: [ownCluster({ socket: "/nonexistent/xds.sock" }), ...clusters],
      listeners,
      secrets: await standIns(secrets),
    },
    layered_runtime: RUNTIME,
  };
}

/** By name, each with its virtual hosts in it, in the order of their names. */
function routeConfigurations(rendered: RenderedResources): ReadonlyMap<string, JsonObject> {
  const hosts = Object.entries(rendered["virtual-host"] ?? {});
  return new Map(
    objectsOf(rendered, "route-configuration").map(({ vhds: _, ...configuration }) => {
      const name = configuration.name as string;
      const own = hosts.filter(([host]) => ownerOf(host) === name).map(([, host]) => host as Json);
      const given = (configuration.virtual_hosts ?? []) as Json[];
      return [name, { ...configuration, virtual_hosts: [...given, ...own] }];
    }),
  );
}

function objectsOf(rendered: RenderedResources, kind: XdsKind): JsonObject[] {
  return Object.values(rendered[kind] ?? {}) as JsonObject[];
}

/** `ROUTE CONFIGURATION/DOMAIN` */
function ownerOf(virtualHost: string): string {
  return virtualHost.slice(0, virtualHost.lastIndexOf("/"));
}

function withRoutes(
  { rds: _, ...manager }: JsonObject,
  rds: JsonObject,
  routes: ReadonlyMap<string, JsonObject>,
): JsonObject {
  const name = rds.route_config_name as string;
  // What nobody sends would keep a listener waiting: it must not pass for good.
  const configuration = routes.get(name);
  if (configuration === undefined) throw new Error(`no route configuration has the name ${name}`);
  return { ...manager, route_config: configuration };
}

function withEndpoints(
  { eds_cluster_config: eds, ...cluster }: JsonObject,
  endpoints: Readonly<Record<string, JsonObject>>,
): JsonObject {
  // As Envoy has it: without a name of their own they are the cluster's.
  const name = ((eds as JsonObject).service_name ?? cluster.name) as string;
  return { ...cluster, type: "STATIC", load_assignment: endpoints[name] ?? { cluster_name: name } };
}

/** A certificate or trust anchors for each name that is asked for, by the field that asks. */
async function standIns(wanted: ReadonlyMap<string, string>): Promise<JsonObject[]> {
  if (wanted.size === 0) return [];
  const authority = await createAuthority("stand-in", 1);
  const issued = await authority.issue({ commonName: "stand-in", dnsNames: ["stand-in.example"] });
  const certificate = {
    certificate_chain: { inline_string: issued.certificate },
    private_key: { inline_string: issued.privateKey },
  };
  const trust = { trusted_ca: { inline_string: authority.certificate } };
  return [...wanted]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) =>
      field.startsWith("tls_certificate")
        ? { name, tls_certificate: certificate }
        : { name, validation_context: trust },
    );
}
