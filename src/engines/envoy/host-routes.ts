import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { RouteSchema } from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { failureRoute } from "./direct-response.ts";
import type { HostDecision, HostDecisions } from "./host-decisions.ts";
import { AUTHORITY } from "./request-checks.ts";
import type { HeaderMatcher } from "./route-match.ts";
import type { RouteEntry } from "./routes.ts";

type RouteInit = MessageInitShape<typeof RouteSchema>;

/** What a virtual host has for all that is decided of its hosts. */
export interface HostSurroundings {
  /** All requests are for this name; null: they may be for several. */
  readonly name: string | null;
  /** The routes are for that very name, without a port. */
  readonly isBare: boolean;
  /** What redirects say where the request names a port; null: they leave it out. */
  readonly httpsPort: number | null;
  /** `typed_per_filter_config` of what is nobody's to authorize: here no request goes on to a service. */
  readonly unauthorized: Readonly<Record<string, Any>>;
}

/** A virtual host's routes behind what is decided of its hosts. */
export function hostRoutes(
  decisions: HostDecisions,
  routes: readonly RouteEntry[],
  around: HostSurroundings,
): readonly RouteEntry[] {
  const checks = around.name === null ? [malformedHost(around)] : [];
  const inside = around.isBare && around.name !== null ? [otherPort(around.name, around), ...routes] : routes;
  return [...checks, ...decidedRoutes(decisions, inside, around)];
}

function decidedRoutes(
  { plain, forwarded }: HostDecisions,
  routes: readonly RouteEntry[],
  around: HostSurroundings,
): readonly RouteEntry[] {
  const decided = (decision: HostDecision, when: readonly HeaderMatcher[]): RouteEntry[] =>
    decisionRoutes(decision, when, around);
  if (forwarded === null) return plain.kind === "route" ? routes : decided(plain, []);
  if (plain.kind === "route") return [...decided(forwarded, [FORWARDED]), ...routes];
  if (forwarded.kind === "route") return [...decided(plain, [NOT_FORWARDED]), ...routes];
  return [...decided(forwarded, [FORWARDED]), ...decided(plain, [])];
}

function decisionRoutes(
  decision: HostDecision,
  when: readonly HeaderMatcher[],
  around: HostSurroundings,
): RouteEntry[] {
  const { name, httpsPort } = around;
  if (decision.kind === "route") return [];
  if (decision.kind === "refuse") {
    const { reason, cause } = decision;
    const failure = failureRoute({ reason, code: cause });
    return [entry(failure, when, when[0], around)];
  }
  const host = name === null ? {} : { hostRedirect: name };
  const redirect = (port: number | null, more: readonly HeaderMatcher[]): RouteEntry =>
    entry(
      {
        action: {
          case: "redirect",
          value: {
            ...host,
            schemeRewriteSpecifier: { case: "httpsRedirect", value: true },
            ...(port === null ? {} : { portRedirect: port }),
          },
        },
      },
      [...when, ...more],
      when[0],
      around,
    );
  const isDefault = httpsPort === null || httpsPort === 443;
  // Without a name of ours a port cannot be left out, only replaced: 443 says the same.
  if (isDefault)
    return name === null ? [redirect(443, [WITH_PORT]), redirect(null, [])] : [redirect(null, [])];
  return [redirect(httpsPort, [WITH_PORT]), redirect(null, [])];
}

/** For every path, `*` and the empty one included. */
function entry(
  init: Omit<RouteInit, "$typeName" | "match">,
  headers: readonly HeaderMatcher[],
  gate: HeaderMatcher | undefined,
  { unauthorized }: HostSurroundings,
): RouteEntry {
  return {
    message: create(RouteSchema, {
      ...init,
      typedPerFilterConfig: unauthorized,
      match: { pathSpecifier: { case: "prefix", value: "" }, headers: [...headers] },
    }),
    path: { kind: "prefix", value: "" },
    takesAll: headers.length === 0,
    ...(gate === undefined ? {} : { gate }),
  };
}

/** What is no host is refused before anybody compares it. */
function malformedHost(around: HostSurroundings): RouteEntry {
  const code = "malformed Host";
  const failure = failureRoute({ reason: "bad_request", code });
  return entry(failure, [MALFORMED], MALFORMED, around);
}

/** Said once, not by each of the routes: Envoy makes what each says of hosts anew for every change. */
function otherPort(name: string, around: HostSurroundings): RouteEntry {
  const condition: HeaderMatcher = {
    name: ":authority",
    invertMatch: true,
    treatMissingHeaderAsEmpty: true,
    headerMatchSpecifier: {
      case: "stringMatch",
      value: { matchPattern: { case: "exact", value: name }, ignoreCase: true },
    },
  };
  const failure = failureRoute({ reason: "no_route", code: `no Mapping for ${name} with that port` });
  return entry(failure, [condition], condition, around);
}

/** What is no host; one that is meets the same check as a filter, but a filter looks at whatever has a route. */
const MALFORMED: HeaderMatcher = {
  name: ":authority",
  invertMatch: true,
  treatMissingHeaderAsEmpty: true,
  headerMatchSpecifier: {
    case: "stringMatch",
    value: { matchPattern: { case: "safeRegex", value: { regex: AUTHORITY } } },
  },
};

const WITH_PORT: HeaderMatcher = {
  name: ":authority",
  headerMatchSpecifier: {
    case: "stringMatch",
    value: { matchPattern: { case: "safeRegex", value: { regex: "(?:\\[.*\\]|[^:\\[\\]]*):[0-9]*" } } },
  },
};

function forwardedProto(invertMatch: boolean): HeaderMatcher {
  return {
    name: "x-forwarded-proto",
    headerMatchSpecifier: {
      case: "stringMatch",
      value: { matchPattern: { case: "exact", value: "https" }, ignoreCase: true },
    },
    invertMatch,
    // Without it an absent one would meet neither.
    treatMissingHeaderAsEmpty: true,
  };
}

const FORWARDED = forwardedProto(false);
const NOT_FORWARDED = forwardedProto(true);
