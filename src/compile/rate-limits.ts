import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { OutsideService } from "../model/outside.ts";
import type { RateLimit, RateLimitLabel } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import type { ModuleConfig, ModuleResource } from "../resources/module.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";

/** Whose labels are meant: the domain of the RateLimitService that is asked; null where none is. */
export function rateLimitDomain(outside: readonly OutsideService[], isAsked: boolean): string | null {
  const service = isAsked ? outside.find(({ kind }) => kind === "rate-limit") : undefined;
  if (service === undefined) return null;
  const { domain } = service.settings;
  return typeof domain === "string" ? domain : "ambassador";
}

/**
 * What a request of the group is counted as (reference §2.5.7): `{domain: [{name: [label, …]}]}`, one list of labels for each
 * limit. A list with a label that cannot be read is left out, since a shorter one would be another limit.
 */
export function compileRateLimits(
  mapping: MappingResource,
  domain: string | null,
  { default_labels }: ModuleConfig,
  diagnostics: Diagnostic[],
): RateLimit[] {
  const { labels } = mapping.spec;
  if (labels === undefined) return [];
  const report = (message: string): void => {
    const at = { subject: subjectOf(mapping), source: positionOf(mapping, "labels") };
    diagnostics.push(diagnose("field-not-supported", { ...at, message, severity: "warning" }));
  };
  if (domain === null) {
    report("labels are for rate limits, which are not enforced");
    return [];
  }
  const groups = labels[domain];
  if (groups === undefined) {
    report(`labels have nothing for ${domain}, the domain of the RateLimitService`);
    return [];
  }
  // What cannot be read of them was said of the Module, and no limit is counted without it.
  const before = (default_labels?.[domain]?.defaults ?? []).map(readLabel);
  if (before.includes(null)) {
    report("labels come after the Module's default_labels, which cannot be read: they are not counted");
    return [];
  }
  const defaults = before.filter((label) => label !== null);
  return (Array.isArray(groups) ? groups : [groups]).flatMap((group): RateLimit[] => {
    const lists = isRecord(group) ? Object.values(group) : [];
    if (lists.length === 0) report(`labels: ${JSON.stringify(group)} is no map of a name to a list`);
    return lists.flatMap((list) => {
      const read = Array.isArray(list) ? list.map(readLabel) : [null];
      const found = read.filter((label) => label !== null);
      if (found.length > 0 && found.length === read.length) return [[...defaults, ...found]];
      report(`labels: ${JSON.stringify(list)} cannot be read, and is not counted`);
      return [];
    });
  });
}

/** `default_labels` that have no effect, or cannot be read. */
export function checkDefaultLabels(
  modules: readonly ModuleResource[],
  domain: string | null,
  diagnostics: Diagnostic[],
): void {
  for (const module of modules) {
    const { default_labels: written } = module.spec;
    if (written === undefined) continue;
    const at = { subject: subjectOf(module), source: positionOf(module, "default_labels") };
    const report = (message: string): unknown =>
      diagnostics.push(diagnose("module-key-not-supported", { ...at, message }));
    if (domain === null) report("default_labels are for rate limits, which are not enforced");
    else if (written[domain] === undefined)
      report(`default_labels have nothing for ${domain}, the domain of the RateLimitService`);
    for (const label of (domain === null ? undefined : written[domain])?.defaults ?? [])
      if (readLabel(label) === null)
        diagnostics.push(
          diagnose("module-invalid", {
            ...at,
            message: `default_labels: ${JSON.stringify(label)} is no label; no labels are counted`,
          }),
        );
  }
}

function readLabel(written: unknown): RateLimitLabel | null {
  if (written === "source_cluster" || written === "destination_cluster" || written === "remote_address")
    return { kind: KINDS[written] };
  if (!isRecord(written)) return null;
  const entries = Object.entries(written);
  const [[key, value] = ["", undefined]] = entries;
  if (entries.length !== 1 || key === "") return null;
  if (key === "generic_key")
    return typeof value === "string" && value !== "" ? { kind: "generic-key", value } : null;
  if (!isRecord(value) || typeof value.header !== "string" || !TOKEN.test(value.header)) return null;
  return {
    kind: "header",
    key,
    name: value.header.toLowerCase(),
    ...(value.omit_if_not_present === true ? { omitted: true as const } : {}),
  };
}

const KINDS = {
  source_cluster: "source-cluster",
  destination_cluster: "destination-cluster",
  remote_address: "remote-address",
} as const;

/** RFC 9110 §5.6.2, and pseudo-headers of HTTP/2, which Envoy has for both. */
const TOKEN = /^:?[\w!#$%&'*+.^`|~-]+$/;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
