import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { OutsideService } from "../model/outside.ts";
import type { RateLimit, RateLimitLabel } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
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
  return (Array.isArray(groups) ? groups : [groups]).flatMap((group): RateLimit[] => {
    const lists = isRecord(group) ? Object.values(group) : [];
    if (lists.length === 0) report(`labels: ${JSON.stringify(group)} is no map of a name to a list`);
    return lists.flatMap((list) => {
      const read = Array.isArray(list) ? list.map(readLabel) : [null];
      const found = read.filter((label) => label !== null);
      if (found.length > 0 && found.length === read.length) return [found];
      report(`labels: ${JSON.stringify(list)} cannot be read, and is not counted`);
      return [];
    });
  });
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
