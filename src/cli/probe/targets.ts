import { contextInUse, findContext } from "../../compile/context-lookup.ts";
import type { Subject } from "../../diagnostics/diagnostic.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import type { VirtualHost } from "../../model/listener.ts";
import type { LoadedGateway } from "../load.ts";
import type { UpstreamTarget } from "../../probe/upstream.ts";

/** What is to be probed; `problem`: there is nothing, and why. */
export type Target =
  | {
      readonly name: string;
      readonly upstreams: readonly UpstreamTarget[];
      /** Who would dial, and does not: it is closed. */
      readonly closed: readonly ClosedUser[];
      /** Domains that are served, and we are a client of them. */
      readonly domains: readonly VirtualHost[];
    }
  | { readonly problem: string };

export interface ClosedUser {
  readonly name: string;
  /** The diagnostic's. */
  readonly code: string;
  /** Of whom it may be: its TLSContext before itself. */
  readonly objects: readonly string[];
}

/** Finds `mapping/NAME[.NS]`, `tlscontext/NAME[.NS]` and so on in what was compiled. */
export function findTarget(text: string, { compilation, resources }: LoadedGateway): Target {
  const found = /^([a-z]+)\/(.+)$/i.exec(text);
  const kind = found?.[1]?.toLowerCase() ?? "";
  if (found === null || !KINDS.has(kind))
    return {
      problem: `${text} is neither a URL nor one of ${[...KINDS].map((each) => `${each}/NAME`).join(", ")}`,
    };
  const name = found[2] as string;
  const { model, contexts } = compilation;
  if (kind === "tlscontext") {
    const context = findContext(name, { namespace: "default" }, contexts, () => {});
    if (context === "ambiguous")
      return { problem: `TLSContext ${name} stands in several namespaces: write NAME.NAMESPACE` };
    if (context === null) {
      const known = [...contexts.values()].map((each) => `${kind}/${each.name}`);
      return { problem: `there is no TLSContext ${name}${others(kind, known)}` };
    }
    const own = `tlscontext/${context.name}`;
    const uses = usesOf(model);
    const upstreams = upstreamsOf(
      model,
      uses.filter(({ cluster }) => contextOf(model, cluster) === context.name),
    );
    const domains = model.virtualHosts.filter(({ origin }) => origin === own);
    const closed =
      context.unusable === null || upstreams.length + domains.length > 0
        ? []
        : [{ name: own, code: context.unusable, objects: [objectName(context.subject)] }];
    if (upstreams.length + domains.length + closed.length === 0)
      return { problem: `TLSContext ${name} serves no name, and nothing that dials uses it` };
    return { name: own, upstreams, closed, domains };
  }
  const uses = usesOf(model);
  const wanted = namesOf(kind, name).find(
    (each) => uses.some((use) => use.name === each) || hosts(model, each).length > 0,
  );
  if (wanted === undefined)
    return {
      problem: `there is no ${kind} ${name} that is served or dials${others(kind, [
        ...uses.map((use) => use.name),
        ...model.virtualHosts.map(({ origin }) => origin),
      ])}`,
    };
  const own = uses.filter((use) => use.name === wanted);
  const objects = objectsOf(wanted, compilation, resources);
  const closed = own.flatMap(({ code }) => (code === null ? [] : [{ name: wanted, code, objects }]));
  const upstreams = upstreamsOf(model, own);
  const domains = hosts(model, wanted);
  if (upstreams.length + closed.length + domains.length === 0)
    return { problem: `${wanted} dials nobody: it redirects` };
  return { name: wanted, upstreams, closed, domains };
}

const KINDS = new Set(["mapping", "tcpmapping", "authservice", "tlscontext", "host"]);

/** An object, and before it the TLSContext that it names. */
export function objectsOf(
  object: string,
  { contexts }: LoadedGateway["compilation"],
  { mappings, tcpMappings, authServices, modules, hosts: served }: LoadedGateway["resources"],
): string[] {
  const isIt = (each: Subject): boolean => objectName(each) === object;
  const dialling = [...mappings, ...tcpMappings].find(isIt);
  const written = dialling ?? authServices.find(isIt);
  const host = served.find((each) => objectName(each) === object);
  const name = written?.spec.tls ?? host?.spec.tlsContext?.name;
  const from = written ?? host;
  if (typeof name !== "string" || from === undefined) return [object];
  const { namespace } = from;
  const context = contextInUse(name, { namespace, resolver: dialling?.spec.resolver }, contexts, modules);
  return context === null ? [object] : [objectName(context.subject), object];
}

/** As the model names it. */
export function objectName({ kind, namespace, name }: Subject): string {
  return `${kind.toLowerCase()}/${namespace}/${name}`;
}

/** Somebody's use of a cluster; null: a redirect, or closed by `code`. */
interface Use {
  readonly name: string;
  readonly cluster: string | null;
  readonly code: string | null;
}

function usesOf(model: GatewayModel): Use[] {
  const destinations = [
    ...model.routes.flatMap(({ destinations, mirror }) => [
      ...destinations,
      ...(mirror === undefined ? [] : [mirror]),
    ]),
    ...(model.tcpListeners ?? []).flatMap(({ chains }) => chains.flatMap((chain) => chain.destinations)),
  ];
  return [
    ...destinations.map(({ name, action }) => ({
      name,
      cluster: action.kind === "forward" ? action.cluster : null,
      code: action.kind === "fail" ? action.code : null,
    })),
    ...(model.authorization?.services ?? []).map(({ name, cluster }) => ({ name, cluster, code: null })),
  ];
}

function upstreamsOf(model: GatewayModel, uses: readonly Use[]): UpstreamTarget[] {
  return model.clusters.flatMap((cluster) => {
    const users = [...new Set(uses.filter((use) => use.cluster === cluster.name).map(({ name }) => name))];
    return users.length === 0 ? [] : [{ cluster, users }];
  });
}

function contextOf({ clusters }: GatewayModel, name: string | null): string | undefined {
  const tls = clusters.find((cluster) => cluster.name === name)?.tls;
  return tls?.mode === "originate" ? tls.context : undefined;
}

/** `x.y`: an object of that whole name in the default namespace before `x` in `y`, as `tls:` is read. */
function namesOf(kind: string, name: string): string[] {
  const dot = name.lastIndexOf(".");
  return [
    `${kind}/default/${name}`,
    ...(dot > 0 ? [`${kind}/${name.slice(dot + 1)}/${name.slice(0, dot)}`] : []),
  ];
}

/** A clause about what there is of the kind, as it would have to be written. */
function others(kind: string, names: readonly string[]): string {
  const own = [...new Set(names)].filter((name) => name.startsWith(`${kind}/`)).sort();
  const shown = own.slice(0, MAX_OTHERS).map((name) => {
    const [, namespace, ...rest] = name.split("/");
    return `${kind}/${rest.join("/")}${namespace === "default" ? "" : `.${namespace}`}`;
  });
  if (shown.length === 0) return "";
  const more = own.length > shown.length ? ` and ${own.length - shown.length} more` : "";
  return `; there ${own.length === 1 ? "is" : "are"} ${shown.join(", ")}${more}`;
}

const MAX_OTHERS = 8;

function hosts({ virtualHosts }: GatewayModel, origin: string): VirtualHost[] {
  return virtualHosts.filter((host) => host.origin === origin && host.tls.mode !== "cleartext");
}
