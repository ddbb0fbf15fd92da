import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { FieldMatch, PathMatch, RouteMatch, TextMatch } from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { whyNoHost, whyNoPath } from "./never-matches.ts";
import { isPattern } from "./patterns.ts";

export interface CompiledMatch {
  readonly match: RouteMatch;
  /** The diagnostic that closes the Mapping: part of its match cannot be read. */
  readonly closedBy: string | null;
  /** It may take less than its match says. */
  readonly mayBeNarrower: boolean;
}

/**
 * The match of a Mapping (reference §2.5.1). Null where its path or host is no regular expression: then nobody knows where
 * it stands. Any other bad expression closes it, on what is certain of its match.
 */
export function compileMatch(
  mapping: MappingResource,
  regexMaxSize: number | undefined,
  diagnostics: Diagnostic[],
): CompiledMatch | null {
  const { spec } = mapping;
  let closedBy: string | null = null;
  let isUnplaced = false;
  const check = (field: string, pattern: string, isPlace = false): boolean => {
    const effect = isPlace ? ("object-ignored" as const) : undefined;
    if (isPattern(mapping, field, pattern, regexMaxSize, diagnostics, effect)) return true;
    if (isPlace) isUnplaced = true;
    else closedBy = "regex-invalid";
    return false;
  };
  const fields = (exact: "headers" | "query_parameters", fold: (name: string) => string): FieldMatch[] => {
    const found: FieldMatch[] = [];
    for (const [name, value] of Object.entries(spec[exact] ?? {})) {
      found.push({ name: fold(name), ...(typeof value === "string" ? exactly(value) : PRESENT) });
    }
    const regex = `regex_${exact}` as const;
    for (const [name, value] of Object.entries(spec[regex] ?? {})) {
      found.push({ name: fold(name), ...(check(regex, value) ? { kind: "regex", value } : PRESENT) });
    }
    return found.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  };

  const path = compilePath(mapping, check);
  const host = spec.host_regex === true ? undefined : spec.host?.toLowerCase();
  const hostPattern = spec.host_regex === true ? spec.host : undefined;
  if (hostPattern !== undefined) check("host", hostPattern, true);
  const never = (code: "host-never-matches" | "prefix-never-matches", why: string | null): void => {
    if (why === null) return;
    const field = code === "host-never-matches" ? "host" : "prefix";
    const at = { subject: subjectOf(mapping), source: positionOf(mapping, field) };
    const message = `${field} ${JSON.stringify(spec[field])} is compared as it stands, and ${why}`;
    diagnostics.push(diagnose(code, { ...at, message }));
  };
  if (host !== undefined) never("host-never-matches", whyNoHost(host));
  if (path.kind !== "regex") never("prefix-never-matches", whyNoPath(path.value, path.kind === "exact"));
  let method: TextMatch | undefined = spec.method === undefined ? undefined : exactly(spec.method);
  if (spec.method !== undefined && spec.method_regex === true)
    method = check("method", spec.method) ? { kind: "regex", value: spec.method } : undefined;
  const headers = fields("headers", (name) => name.toLowerCase());
  const query = fields("query_parameters", (name) => name);
  if (isUnplaced) return null;
  return {
    closedBy,
    mayBeNarrower: mapping.mayBeNarrower || (spec.method !== undefined && method === undefined),
    match: {
      path,
      ...(host === undefined ? {} : { host }),
      ...(hostPattern === undefined ? {} : { hostPattern }),
      ...(method === undefined ? {} : { method }),
      ...(headers.length === 0 ? {} : { headers }),
      ...(query.length === 0 ? {} : { query }),
    },
  };
}

function compilePath(
  { spec }: MappingResource,
  check: (field: string, pattern: string, isPlace: boolean) => boolean,
): PathMatch {
  const ignoreCase = spec.case_sensitive === false ? { ignoreCase: true as const } : {};
  if (spec.prefix_regex === true) {
    check("prefix", spec.prefix, true);
    return { kind: "regex", value: spec.prefix, ...ignoreCase };
  }
  return { kind: spec.prefix_exact === true ? "exact" : "prefix", value: spec.prefix, ...ignoreCase };
}

function exactly(value: string): TextMatch {
  return { kind: "exact", value };
}

const PRESENT: TextMatch = { kind: "present" };

function key(match: FieldMatch): string {
  return `${match.name}\n${match.kind}\n${match.kind === "present" ? "" : match.value}`;
}
