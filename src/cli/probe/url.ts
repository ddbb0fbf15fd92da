import { compile } from "../../compile/compile.ts";
import type { Cluster } from "../../model/cluster.ts";
import { parseMapping } from "../../resources/mapping.ts";
import { asIfIssued, compileOptionsOf, type LoadedGateway, type ResourceFlags } from "../load.ts";

/** A cluster for a URL, as a Mapping with that service would have it; `problem`: what such a Mapping lacks. */
export function clusterOfUrl(
  url: string,
  context: string | undefined,
  { resources, store }: LoadedGateway,
  flags: ResourceFlags,
): Cluster | { readonly problem: string } {
  const dot = context?.lastIndexOf(".") ?? -1;
  const namespace = dot > 0 ? (context as string).slice(dot + 1) : "default";
  const identity = { namespace, name: "credence-probe" };
  const source = { file: "--context", line: 1, column: 1 };
  const value = { prefix: "/", service: url, ...(context === undefined ? {} : { tls: context }) };
  const { resource, diagnostics } = parseMapping(identity, value, { value, source, fields: new Map() });
  if (resource === null) return { problem: diagnostics[0]?.message ?? `${url} is no service` };
  const { model, diagnostics: found } = compile({
    resources: { ...resources, mappings: [resource], tcpMappings: [], authServices: [] },
    statuses: asIfIssued(store.statuses),
    options: compileOptionsOf(flags),
  });
  const [cluster] = model.clusters;
  if (cluster !== undefined) return cluster;
  const finding = found.find(
    ({ severity, subject }) => severity === "error" && subject.name === identity.name,
  );
  return { problem: finding?.message ?? `${url} cannot be dialled` };
}
