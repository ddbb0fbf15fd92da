import { parseService } from "../compile/service.ts";
import type { MappingResource } from "../resources/mapping.ts";
import type { Report } from "./finding.ts";
import type { MigrationInput } from "./input.ts";
import { fieldsYaml } from "./snippet.ts";

/**
 * Mappings of one namespace that wrote a scheme and the same service shared one cluster, whatever their `tls`: its name
 * had the context in it only where the service has no scheme (reference §2.2).
 */
export function sharedClusterRules(input: MigrationInput, report: Report): void {
  const clusters = new Map<string, MappingResource[]>();
  for (const mapping of input.resources.mappings) {
    const { spec, namespace } = mapping;
    const service = parseService(spec.service);
    if (typeof service === "string" || service.scheme === null || spec.host_redirect === true) continue;
    const key = JSON.stringify([
      namespace,
      service.scheme,
      service.host,
      service.port ?? null,
      spec.host_rewrite ?? null,
      spec.cluster_tag ?? null,
      spec.shadow ?? false,
      spec.circuit_breakers ?? null,
    ]);
    clusters.set(key, [...(clusters.get(key) ?? []), mapping]);
  }
  for (const sharing of clusters.values()) {
    // In the order in which 1.14 built them.
    const [first, ...others] = [...sharing].sort((a, b) => (a.name < b.name ? -1 : 1));
    if (first === undefined) continue;
    for (const other of others) {
      if (JSON.stringify(other.spec.tls) === JSON.stringify(first.spec.tls)) continue;
      report("shared-cluster", {
        at: other,
        field: other.spec.tls === undefined ? "service" : "tls",
        before: `It shared a cluster with Mapping ${first.name}, for both write ${other.spec.service}: whichever was built first, most likely ${first.name} with ${identityOf(first)}, decided the client certificate of both.`,
        now: `It has a cluster of its own, with ${identityOf(other)}.`,
        edit: {
          what: `None; to go on with the identity of ${first.name}, write its \`tls\`.`,
          yaml: first.spec.tls === undefined ? "" : fieldsYaml({ tls: first.spec.tls }),
        },
      });
    }
  }
}

function identityOf({ spec: { tls } }: MappingResource): string {
  return typeof tls === "string" ? `TLSContext ${tls}` : "no client certificate";
}
