import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RouteSchema } from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { failureRoute } from "./direct-response.ts";
import type { HostDecision, HostDecisions } from "./host-decisions.ts";
import type { HeaderMatcher } from "./route-match.ts";
import type { RouteEntry } from "./routes.ts";

type RouteInit = MessageInitShape<typeof RouteSchema>;

/**
 * A virtual host's routes behind what is decided of its hosts. `name`: all requests are for this name; null: they may be
 * for several. `httpsPort`: what redirects say where the request names a port; null: they leave it out.
 */
export function hostRoutes(
  { plain, forwarded }: HostDecisions,
  routes: readonly RouteEntry[],
  name: string | null,
  httpsPort: number | null,
): readonly RouteEntry[] {
  const checks = name === null ? [malformedHost()] : [];
  return [...checks, ...decidedRoutes({ plain, forwarded }, routes, name, httpsPort)];
}

function decidedRoutes(
  { plain, forwarded }: HostDecisions,
  routes: readonly RouteEntry[],
  name: string | null,
  httpsPort: number | null,
): readonly RouteEntry[] {
  const decided = (decision: HostDecision, when: readonly HeaderMatcher[]): RouteEntry[] =>
    decisionRoutes(decision, when, name, httpsPort);
  if (forwarded === null) return plain.kind === "route" ? routes : decided(plain, []);
  if (plain.kind === "route") return [...decided(forwarded, [FORWARDED]), ...routes];
  if (forwarded.kind === "route") return [...decided(plain, [NOT_FORWARDED]), ...routes];
  return [...decided(forwarded, [FORWARDED]), ...decided(plain, [])];
}

function decisionRoutes(
  decision: HostDecision,
  when: readonly HeaderMatcher[],
  name: string | null,
  httpsPort: number | null,
): RouteEntry[] {
  if (decision.kind === "route") return [];
  if (decision.kind === "refuse") {
    const { reason, cause } = decision;
    return [entry({ name: reason, ...failureRoute({ route: null, reason, code: cause }) }, when, when[0])];
  }
  const host = name === null ? {} : { hostRedirect: name };
  const redirect = (port: number | null, more: readonly HeaderMatcher[]): RouteEntry =>
    entry(
      {
        name: "https",
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
): RouteEntry {
  return {
    message: create(RouteSchema, {
      ...init,
      match: { pathSpecifier: { case: "prefix", value: "" }, headers: [...headers] },
    }),
    path: { kind: "prefix", value: "" },
    takesAll: headers.length === 0,
    ...(gate === undefined ? {} : { gate }),
  };
}

/** What is no host is refused before anybody compares it. */
function malformedHost(): RouteEntry {
  const code = "malformed Host";
  const failure = failureRoute({ route: null, reason: "bad_request", code });
  return entry({ name: "bad_request", ...failure }, [MALFORMED], MALFORMED);
}

/** Not uri-host [ ":" port ] of RFC 9110 §7.2: a reg-name as DNS and Kubernetes use it, or an address. */
const MALFORMED: HeaderMatcher = {
  name: ":authority",
  invertMatch: true,
  treatMissingHeaderAsEmpty: true,
  headerMatchSpecifier: {
    case: "stringMatch",
    value: {
      matchPattern: {
        case: "safeRegex",
        value: {
          regex: "(?i:(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?\\.?|\\[[0-9a-f:.]+\\])(?::[0-9]{1,5})?)",
        },
      },
    },
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
