import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RedirectAction, RouteMatch } from "../../model/route.ts";
import {
  RedirectAction_RedirectResponseCode as Code,
  type RedirectActionSchema,
} from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { envoyRewrite } from "./path-rewrite.ts";

type Redirect = MessageInitShape<typeof RedirectActionSchema>;

/** A route's redirect; null where nobody knows to which path. `climbs` as in path-rewrite.ts. */
export function envoyRedirect(
  action: RedirectAction,
  match: RouteMatch,
  scheme: "http" | "https",
): { readonly redirect: Redirect; readonly climbs: string | null } | null {
  const plan =
    action.path?.kind === "path"
      ? { rewrite: action.path, climbs: null }
      : envoyRewrite(action.path, match.path);
  const path = pathRewrite(plan.rewrite);
  if (path === null) return null;
  return {
    redirect: {
      hostRedirect: action.host,
      schemeRewriteSpecifier: { case: "schemeRedirect", value: action.scheme ?? scheme },
      pathRewriteSpecifier: path,
      responseCode: CODES[action.status],
    },
    climbs: plan.climbs,
  };
}

function pathRewrite(
  rewrite: ReturnType<typeof envoyRewrite>["rewrite"] | { readonly kind: "path"; readonly value: string },
): NonNullable<Redirect["pathRewriteSpecifier"]> | null {
  switch (rewrite.kind) {
    case "none":
      return { case: undefined };
    case "path":
      // The request's query goes along unless the new path brings its own: Envoy's rule as well.
      return {
        case: "pathRedirect",
        value: rewrite.value.startsWith("/") ? rewrite.value : `/${rewrite.value}`,
      };
    case "prefix":
      return { case: "prefixRewrite", value: rewrite.value };
    case "regex":
      return {
        case: "regexRewrite",
        value: { pattern: { regex: rewrite.pattern }, substitution: rewrite.substitution },
      };
    case "impossible":
      return null;
  }
}

const CODES: Readonly<Record<RedirectAction["status"], Code>> = {
  301: Code.MOVED_PERMANENTLY,
  302: Code.FOUND,
  303: Code.SEE_OTHER,
  307: Code.TEMPORARY_REDIRECT,
  308: Code.PERMANENT_REDIRECT,
};
