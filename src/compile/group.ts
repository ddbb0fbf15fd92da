import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { MappingSpec } from "../resources/mapping.ts";
import type { ModuleConfig } from "../resources/module.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { MatchedMapping } from "./route-order.ts";

/** A group once it is settled who belongs to it, and what its members say together. */
export interface SettledGroup {
  /** At least one, unless `mirror` is all there is. */
  readonly members: readonly MatchedMapping[];
  readonly mirror: MatchedMapping | null;
  readonly shared: SharedSpec;
}

/** What holds for the whole group. */
export type SharedSpec = Pick<
  MappingSpec,
  (typeof MERGED)[number] | (typeof LAST)[number] | (typeof CORE)[number]
>;

/** The first Mapping of a group fixes these; one that says otherwise is left out (reference §2.5.4). */
const CORE = [
  "bypass_auth",
  "bypass_error_response_overrides",
  "circuit_breakers",
  "connect_timeout_ms",
  "cluster_idle_timeout_ms",
  "cluster_max_connection_lifetime_ms",
  "keepalive",
  "labels",
  "load_balancer",
] as const;
/** Maps that are put together, a later Mapping's entries winning. */
const MERGED = ["add_request_headers", "add_response_headers"] as const;
/** The last Mapping that says anything wins. */
const LAST = [
  "remove_request_headers",
  "remove_response_headers",
  "regex_rewrite",
  "retry_policy",
  "cors",
  "priority",
  "allow_upgrade",
  "use_websocket",
  "error_response_overrides",
] as const;

/** Who belongs to a group, and what is common to all of it; `config` gives the defaults. */
export function settleGroup(
  group: readonly MatchedMapping[],
  config: ModuleConfig,
  diagnostics: Diagnostic[],
): SettledGroup {
  const refuse = ({ mapping }: MatchedMapping, field: string, message: string, remedy?: string): void => {
    diagnostics.push(
      diagnose("group-member-mismatch", {
        subject: subjectOf(mapping),
        source: positionOf(mapping, field),
        message,
        ...(remedy === undefined ? {} : { remedy }),
      }),
    );
  };
  const shadows = group.filter(({ mapping }) => mapping.spec.shadow === true);
  const [mirror = null, ...others] = shadows;
  for (const other of others)
    refuse(
      other,
      "shadow",
      `the group has a shadow already, ${mirror?.mapping.name}: this one gets no copies`,
    );
  const candidates = group.filter(({ mapping }) => mapping.spec.shadow !== true);
  const [first] = candidates;
  if (first === undefined && mirror !== null)
    refuse(
      mirror,
      "shadow",
      "no other Mapping has this match, so there are no requests to copy",
      "Write the Mapping whose requests are to be copied, with the same match, or remove `shadow`.",
    );
  const members = candidates.filter((candidate) => {
    if (candidate === first || first === undefined) return true;
    const { spec } = candidate.mapping;
    if ((spec.host_redirect === true) !== (first.mapping.spec.host_redirect === true)) {
      refuse(
        candidate,
        "host_redirect",
        `redirects and other Mappings cannot share a match; ${first.mapping.name} stands first`,
      );
      return false;
    }
    const field = CORE.find(
      (name) =>
        spec[name] !== undefined && JSON.stringify(spec[name]) !== JSON.stringify(first.mapping.spec[name]),
    );
    if (field === undefined) return true;
    refuse(
      candidate,
      field,
      `cannot accept new mapping ${candidate.mapping.name} with mismatched ${field}: ${first.mapping.name} fixes it`,
    );
    return false;
  });
  return { members, mirror, shared: share(members.length > 0 ? members : shadows.slice(0, 1), config) };
}

function share(members: readonly MatchedMapping[], config: ModuleConfig): SharedSpec {
  const shared: Record<string, unknown> = {};
  const specs = members.map(({ mapping }) => mapping.spec);
  const defaults = { ...config.defaults, ...config.defaults?.httpmapping } as Record<string, unknown>;
  for (const name of MERGED) {
    const own = specs.map((spec) => spec[name] ?? defaults[name]);
    if (own.some((value) => value !== undefined)) shared[name] = Object.assign({}, ...own);
  }
  for (const name of LAST) {
    const last = specs.map((spec) => spec[name]).findLast((value) => value !== undefined);
    const byDefault = defaults[name] ?? (config as Record<string, unknown>)[name];
    const value = last ?? byDefault;
    if (value !== undefined) shared[name] = value;
  }
  for (const name of CORE) {
    const value = specs[0]?.[name] ?? (config as Record<string, unknown>)[name];
    if (value !== undefined) shared[name] = value;
  }
  return shared as SharedSpec;
}
