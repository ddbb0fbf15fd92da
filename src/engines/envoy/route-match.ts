import type { MessageInitShape } from "@bufbuild/protobuf";
import type { FieldMatch, PathMatch, RouteMatch, TextMatch } from "../../model/route.ts";
import type {
  HeaderMatcher as EnvoyHeaderMatcher,
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
} from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import type { StringMatcherSchema } from "../../protobuf/generated/envoy/type/matcher/v3/string_pb.js";

export type HeaderMatcher = Exclude<MessageInitShape<typeof HeaderMatcherSchema>, EnvoyHeaderMatcher>;
type StringMatcher = MessageInitShape<typeof StringMatcherSchema>;

/** What a match becomes in a virtual host. */
export interface EnvoyMatch {
  readonly path: MessageInitShape<typeof RouteMatchSchema>["pathSpecifier"] & object;
  readonly caseSensitive: boolean;
  readonly headers: readonly HeaderMatcher[];
  readonly queryParameters: readonly MessageInitShape<typeof QueryParameterMatcherSchema>[];
}

/** What is known of the Host of all requests that come to a route. By then it is without a final dot. */
export interface HostKnown {
  /** All are for this name, whatever their port; null: they may be for others. */
  readonly name: string | null;
  /** And have no port: others were sent away. */
  readonly isBare: boolean;
  /** The port is not compared. */
  readonly stripPort: boolean;
}

/** The match of a route; null where no request can meet it. */
export function envoyMatch(match: RouteMatch, known: HostKnown): EnvoyMatch | null {
  const { stripPort } = known;
  const { path } = match;
  // Matched is the path without its query.
  if (path.kind !== "regex" && path.value.includes("?")) return null;
  const conditions = [
    hostCondition(match, known),
    ...(match.hostPattern === undefined ? [] : authorityPattern(match.hostPattern, stripPort)),
    match.method === undefined ? ALWAYS : field(":method", match.method),
    ...(match.headers ?? []).flatMap((each) => headerConditions(each, stripPort)),
  ];
  const headers: HeaderMatcher[] = [];
  for (const condition of conditions) {
    if (condition === NEVER) return null;
    if (typeof condition !== "string") headers.push(condition);
  }
  return {
    path: pathSpecifier(path),
    caseSensitive: path.kind === "regex" || path.ignoreCase !== true,
    headers,
    queryParameters: (match.query ?? []).map(queryCondition),
  };
}

/** Host and port of an exact host as routes write it; null where no Host that is sent can equal it. */
export function readHost(host: string): { readonly name: string; readonly port: string } | null {
  const [, name = "", port = ""] = /^(.*?)(:\d+)?$/s.exec(host) ?? [];
  const isName = /^[a-z0-9._-]*[a-z0-9_-]$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name);
  return isName ? { name, port } : null;
}

/** A text as a regular expression that it alone matches. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.|?*+()[\]{}]/g, "\\$&");
}

type Condition = HeaderMatcher | typeof ALWAYS | typeof NEVER;
const ALWAYS = "always";
const NEVER = "never";

/** `host` is compared with the port that the client sent, unless the Module wants it without. */
function hostCondition({ host }: RouteMatch, { name, isBare, stripPort }: HostKnown): Condition {
  if (host === undefined || (isBare && host === name)) return ALWAYS;
  const wanted = readHost(host);
  if (wanted === null || (stripPort && wanted.port !== "")) return NEVER;
  if (!stripPort) return authority({ matchPattern: { case: "exact", value: host }, ignoreCase: true });
  return wanted.name === name ? ALWAYS : authority(pattern(escapeRegex(host), true));
}

function headerConditions({ name, ...wanted }: FieldMatch, stripPort: boolean): readonly Condition[] {
  // Envoy's own name for Host, which its users write too.
  if (name === ":authority" || name === "host") {
    if (wanted.kind === "present") return [];
    if (wanted.kind === "regex") return authorityPattern(wanted.value, stripPort);
    return wanted.value === wanted.value.toLowerCase()
      ? [hostCondition({ path: ANY_PATH, host: wanted.value }, { name: null, isBare: false, stripPort })]
      : [NEVER];
  }
  // What only the gateway may assert is not there, whoever sent it; no client's field has a `:` in its name.
  if (name.startsWith(":") || name.startsWith("x-envoy-") || ASSERTED.has(name)) return [NEVER];
  return [field(name, wanted)];
}

const ANY_PATH: PathMatch = { kind: "prefix", value: "" };
const ASSERTED: ReadonlySet<string> = new Set(["l5d-dst-override", "x-forwarded-client-cert"]);

function authority(stringMatch: StringMatcher): HeaderMatcher {
  return { name: ":authority", headerMatchSpecifier: { case: "stringMatch", value: stringMatch } };
}

/**
 * The authority has its port here still. Where that is not to be compared, an expression that could take a port (`.*:80`)
 * must not find one: the authority has none, or the expression holds for all that stands before it.
 */
function authorityPattern(regex: string, stripPort: boolean): readonly HeaderMatcher[] {
  const matches = authority(pattern(regex, stripPort));
  if (!stripPort) return [matches];
  const withoutPort = `[^:]*|\\[[^\\]]*\\]|(?i:${regex}):[0-9]*`;
  return [matches, authority({ matchPattern: { case: "safeRegex", value: { regex: withoutPort } } })];
}

/** Hosts have no case. */
function pattern(regex: string, stripPort: boolean): StringMatcher {
  return {
    matchPattern: {
      case: "safeRegex",
      value: { regex: stripPort ? `(?i:${regex})(?::[0-9]*)?` : `(?i:${regex})` },
    },
  };
}

function field(name: string, wanted: TextMatch): HeaderMatcher {
  if (wanted.kind === "present") return { name, headerMatchSpecifier: { case: "presentMatch", value: true } };
  return { name, headerMatchSpecifier: { case: "stringMatch", value: text(wanted) } };
}

function queryCondition({
  name,
  ...wanted
}: FieldMatch): MessageInitShape<typeof QueryParameterMatcherSchema> {
  return {
    name,
    queryParameterMatchSpecifier:
      wanted.kind === "present"
        ? { case: "presentMatch", value: true }
        : { case: "stringMatch", value: text(wanted) },
  };
}

function text(wanted: Exclude<TextMatch, { kind: "present" }>): StringMatcher {
  return {
    matchPattern:
      wanted.kind === "exact"
        ? { case: "exact", value: wanted.value }
        : { case: "safeRegex", value: { regex: wanted.value } },
  };
}

function pathSpecifier({ kind, value, ignoreCase }: PathMatch): EnvoyMatch["path"] {
  if (kind === "prefix") return { case: "prefix", value };
  if (kind === "exact") return { case: "path", value };
  // Envoy's case_sensitive does not hold for expressions.
  return { case: "safeRegex", value: { regex: ignoreCase === true ? `(?i:${value})` : value } };
}
