import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { HostResource } from "../resources/host.ts";
import type { IngressClassResource, IngressResource } from "../resources/ingress.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { subjectOf } from "../resources/resource.ts";
import { originOf } from "./host-claims.ts";

export interface CompiledIngresses {
  readonly hosts: readonly HostResource[];
  readonly mappings: readonly MappingResource[];
  /** Names of rules, with the origin of the first Ingress that has them. */
  readonly ruled: ReadonlyMap<string, string>;
}

/** The Ingresses that are meant for this gateway (reference §1), and what they stand for. */
export function compileIngresses(
  ingresses: readonly IngressResource[],
  classes: readonly IngressClassResource[],
  diagnostics: Diagnostic[],
): CompiledIngresses {
  const own = new Set(classes.filter(({ spec }) => spec.controller === CONTROLLER).map(({ name }) => name));
  const foreign = new Set(classes.map(({ name }) => name).filter((name) => !own.has(name)));
  const taken: IngressResource[] = [];
  for (const ingress of ingresses) {
    const { classAnnotation, spec } = ingress;
    const named = spec.ingressClassName;
    const isNamed = named !== undefined && (own.has(named) || (named === CLASS && !foreign.has(named)));
    if (classAnnotation === CLASS || isNamed) taken.push(ingress);
    else if (classAnnotation === null && named === undefined) {
      const message = "the Ingress names no class, so it is left to others";
      const subject = subjectOf(ingress);
      diagnostics.push(diagnose("ingress-class-missing", { subject, source: ingress.raw.source, message }));
    }
  }
  const ruled = new Map<string, string>();
  for (const ingress of taken) {
    for (const name of ingress.names) if (!ruled.has(name)) ruled.set(name, originOf(subjectOf(ingress)));
  }
  return {
    hosts: taken.flatMap(({ hosts }) => hosts),
    mappings: taken.flatMap(({ mappings }) => mappings),
    ruled,
  };
}

const CONTROLLER = "getambassador.io/ingress-controller";
const CLASS = "ambassador";
