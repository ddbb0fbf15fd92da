import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { AnyResource, GuardResource, UnservedHost } from "./envelope.ts";
import type { MappingResource } from "./mapping.ts";
import type { ModuleResource } from "./module.ts";
import { subjectOf } from "./resource.ts";
import type { TlsContextResource } from "./tls-context.ts";

/** The world as parsed: immutable, each list sorted by namespace and name, so that no order of files decides anything. */
export interface ResourceSet {
  readonly mappings: readonly MappingResource[];
  readonly tlsContexts: readonly TlsContextResource[];
  readonly modules: readonly ModuleResource[];
  readonly guards: readonly GuardResource[];
  readonly unservedHosts: readonly UnservedHost[];
}

/** Of two different objects with one name neither is taken; repeated ones count once (design §9). */
export function createResourceSet(objects: readonly AnyResource[]): {
  resources: ResourceSet;
  diagnostics: Diagnostic[];
} {
  const byIdentity = new Map<string, AnyResource[]>();
  for (const object of objects) {
    const key = JSON.stringify([object.kind, object.namespace, object.name]);
    byIdentity.set(key, [...(byIdentity.get(key) ?? []), object]);
  }
  const kept: AnyResource[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const group of byIdentity.values()) {
    const [first] = group as [AnyResource];
    const same = group.every((object) => meaning(object) === meaning(first));
    kept.push(...(same ? [first] : closedTogether(first, group)));
    if (group.length === 1) continue;
    for (const object of group) {
      const others = group
        .filter((other) => other !== object)
        .map(({ raw }) => `${raw.source.file}:${raw.source.line}`);
      diagnostics.push(
        diagnose(same ? "object-repeated" : "object-duplicate", {
          subject: subjectOf(object),
          source: object.raw.source,
          message: `${object.kind} ${object.name} in namespace ${object.namespace} also stands at ${others.sort().join(", ")}`,
        }),
      );
    }
  }
  const ofKind = <T extends AnyResource>(kind: T["kind"]): T[] =>
    (kept.filter((object) => object.kind === kind) as T[]).sort(byNamespaceAndName);
  return {
    resources: {
      mappings: ofKind<MappingResource>("Mapping"),
      tlsContexts: ofKind<TlsContextResource>("TLSContext"),
      modules: ofKind<ModuleResource>("Module"),
      guards: ofKind<GuardResource>("Guard"),
      unservedHosts: ofKind<UnservedHost>("Host"),
    },
    diagnostics,
  };
}

/** All that decides what becomes of an object: two that differ in none of it are one. */
function meaning(object: AnyResource): string {
  return JSON.stringify({ ...object, raw: null });
}

/** Of objects that contradict each other nothing is followed but what they close: guards, hosts, places of Mappings. */
function closedTogether(first: AnyResource, group: readonly AnyResource[]): AnyResource[] {
  const closedBy = "object-duplicate";
  switch (first.kind) {
    case "Mapping":
      return (group as MappingResource[]).map((object) => ({ ...object, closedBy }));
    case "TLSContext": {
      const all = group as TlsContextResource[];
      const hosts = [...new Set(all.flatMap(({ spec }) => spec.hosts ?? []))].sort();
      const hostsUnreadable = all.some((object) => object.hostsUnreadable);
      return [{ ...first, spec: { hosts }, closedBy, hostsUnreadable }];
    }
    case "Module": {
      const all = group as ModuleResource[];
      const required = all.some(({ spec }) => spec.upstream_verification === "required");
      const spec = required ? { upstream_verification: "required" as const } : {};
      return [
        { ...first, spec, unenforced: [...new Set(all.flatMap(({ unenforced }) => unenforced))].sort() },
      ];
    }
    default:
      return [...group];
  }
}

function byNamespaceAndName(a: AnyResource, b: AnyResource): number {
  const left = `${a.namespace} ${a.name} ${JSON.stringify(a.spec)}`;
  const right = `${b.namespace} ${b.name} ${JSON.stringify(b.spec)}`;
  return left < right ? -1 : left > right ? 1 : 0;
}
