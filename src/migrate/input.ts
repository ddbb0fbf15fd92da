import type { CredentialStatuses } from "../compile/statuses.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { GatewayModel } from "../model/gateway.ts";
import type { UpstreamTls } from "../model/tls.ts";
import { isRecord } from "../resources/fields.ts";
import type { RawObject } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import type { Written } from "./finding.ts";

/** What the report is made from: what Credence makes of the resources, and what was written, for what 1.14 made of it. */
export interface MigrationInput {
  readonly resources: ResourceSet;
  readonly statuses: CredentialStatuses;
  readonly model: GatewayModel;
  readonly diagnostics: readonly Diagnostic[];
  /** Every document, of any kind. */
  readonly documents: readonly RawObject[];
  readonly ambassadorId: string;
}

/** A document with its envelope read. */
export interface WrittenObject extends Written {
  readonly raw: RawObject;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What becomes of a Mapping's requests. */
export type Fate =
  | { readonly kind: "forward"; readonly tls: UpstreamTls }
  | { readonly kind: "fail"; readonly code: string }
  | { readonly kind: "redirect" }
  /** It gets no requests: a shadow, one that is left out, or one with weight 0. */
  | { readonly kind: "none" };

/** Objects of one kind that are meant for this gateway, by namespace and name. */
export function writtenObjects(input: MigrationInput, kind: string): WrittenObject[] {
  const found: WrittenObject[] = [];
  for (const raw of input.documents) {
    if (!isRecord(raw.value) || raw.value.kind !== kind) continue;
    const metadata = isRecord(raw.value.metadata) ? raw.value.metadata : {};
    const spec = isRecord(raw.value.spec) ? raw.value.spec : {};
    const id = spec.ambassador_id ?? spec.ambassadorId ?? "default";
    const ids: readonly unknown[] = Array.isArray(id) ? id : [id];
    if (kind !== "Secret" && !ids.includes(input.ambassadorId) && !ids.includes("_automatic_")) continue;
    const namespace = typeof metadata.namespace === "string" ? metadata.namespace : "default";
    const name = typeof metadata.name === "string" ? metadata.name : `line-${raw.source.line}`;
    found.push({ kind, namespace, name, raw, spec });
  }
  const key = ({ namespace, name }: Written): string => `${namespace} ${name}`;
  return found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** What the model does with each Mapping, by `mapping/NAMESPACE/NAME`. */
export function fates(model: GatewayModel): (mapping: { namespace: string; name: string }) => Fate {
  const clusters = new Map(model.clusters.map((cluster) => [cluster.name, cluster]));
  const found = new Map<string, Fate>();
  for (const { destinations } of model.routes) {
    for (const { name, action } of destinations) {
      if (action.kind !== "forward") found.set(name, action);
      else {
        const tls = clusters.get(action.cluster)?.tls;
        if (tls !== undefined) found.set(name, { kind: "forward", tls });
      }
    }
  }
  return ({ namespace, name }) => found.get(`mapping/${namespace}/${name}`) ?? { kind: "none" };
}
