import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { bracketed } from "../model/address.ts";
import type { Cluster } from "../model/cluster.ts";
import { FRAMING_FIELDS } from "../model/framing.ts";
import type {
  ForwardAction,
  HashPolicy,
  HeaderAddition,
  PathRewrite,
  RedirectAction,
  RetryPolicy,
} from "../model/route.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { type ClusterInput, compileCluster, DEFAULT_TIMEOUT_MS, readService } from "./clusters.ts";
import type { SharedSpec } from "./group.ts";
import { headerChanges, unknownOperators } from "./headers.ts";
import { linkerdDestination } from "./linkerd.ts";
import { isPattern } from "./patterns.ts";

type Closed = { readonly kind: "fail"; readonly code: string };

/** What becomes of a Mapping's requests (reference §2.5.2). A part that cannot be done closes it. */
export function compileForward(
  mapping: MappingResource,
  shared: SharedSpec,
  input: ClusterInput,
  clusters: Map<string, Cluster>,
  diagnostics: Diagnostic[],
): ForwardAction | Closed {
  const { spec } = mapping;
  const compiled = compileCluster(mapping, shared, input, diagnostics);
  if ("closedBy" in compiled) return { kind: "fail", code: compiled.closedBy };
  const { cluster, service } = compiled;
  const rewrite = pathRewrite(mapping, shared, input, diagnostics);
  if (rewrite === "invalid") return { kind: "fail", code: "regex-invalid" };
  reportFraming(mapping, shared, diagnostics);
  const own: HeaderAddition[] = [];
  if (spec.add_linkerd_headers ?? input.config.add_linkerd_headers) {
    const value = linkerdDestination(cluster, mapping.namespace);
    own.push({ name: "l5d-dst-override", value, append: false });
  }
  const requestHeaders = headerChanges(shared.add_request_headers, shared.remove_request_headers, own);
  const responseHeaders = headerChanges(shared.add_response_headers, shared.remove_response_headers);
  const hostRewrite = spec.host_rewrite ?? (spec.auto_host_rewrite === true ? service.host : undefined);
  const hash = hashPolicy(shared);
  const retry = retryPolicy(shared);
  clusters.set(cluster.name, cluster);
  return {
    kind: "forward",
    cluster: cluster.name,
    ...(rewrite === undefined ? {} : { rewrite }),
    timeoutMs: spec.timeout_ms ?? input.config.cluster_request_timeout_ms ?? DEFAULT_TIMEOUT_MS,
    ...(spec.idle_timeout_ms === undefined ? {} : { idleTimeoutMs: spec.idle_timeout_ms }),
    ...(hostRewrite === undefined ? {} : { hostRewrite }),
    ...(requestHeaders === undefined ? {} : { requestHeaders }),
    ...(responseHeaders === undefined ? {} : { responseHeaders }),
    ...(retry === undefined ? {} : { retry }),
    ...(hash === undefined ? {} : { hash }),
    ...(shared.priority === "high" ? { priority: "high" as const } : {}),
  };
}

/** `host_redirect`: the service is the host to go to; path_redirect > prefix_redirect > regex_redirect. */
export function compileRedirect(
  mapping: MappingResource,
  shared: SharedSpec,
  input: ClusterInput,
  diagnostics: Diagnostic[],
): RedirectAction | Closed {
  const { spec } = mapping;
  const service = readService(mapping, diagnostics);
  if (service === null) return { kind: "fail", code: "service-invalid" };
  let path: RedirectAction["path"];
  if (spec.path_redirect !== undefined) path = { kind: "path", value: spec.path_redirect };
  else if (spec.prefix_redirect !== undefined) path = { kind: "prefix", value: spec.prefix_redirect };
  else if (spec.regex_redirect !== undefined) {
    if (
      !isPattern(
        mapping,
        "regex_redirect",
        spec.regex_redirect.pattern,
        input.config.regex_max_size,
        diagnostics,
      )
    )
      return { kind: "fail", code: "regex-invalid" };
    path = { kind: "regex", ...spec.regex_redirect };
  }
  const responseHeaders = headerChanges(shared.add_response_headers, shared.remove_response_headers);
  const host = bracketed(service.host);
  return {
    kind: "redirect",
    host: service.port === undefined ? host : `${host}:${service.port}`,
    ...(service.scheme === null ? {} : { scheme: service.scheme }),
    ...(path === undefined ? {} : { path }),
    status: spec.redirect_response_code ?? 301,
    ...(responseHeaders === undefined ? {} : { responseHeaders }),
  };
}

function pathRewrite(
  mapping: MappingResource,
  shared: SharedSpec,
  input: ClusterInput,
  diagnostics: Diagnostic[],
): PathRewrite | undefined | "invalid" {
  const { regex_rewrite } = shared;
  if (regex_rewrite !== undefined) {
    return isPattern(
      mapping,
      "regex_rewrite",
      regex_rewrite.pattern,
      input.config.regex_max_size,
      diagnostics,
    )
      ? { kind: "regex", ...regex_rewrite }
      : "invalid";
  }
  const value = mapping.spec.rewrite ?? "/";
  return value === "" ? undefined : { kind: "prefix", value };
}

/** Names that neither side may add or remove are left out, and said so. */
function reportFraming(mapping: MappingResource, shared: SharedSpec, diagnostics: Diagnostic[]): void {
  for (const field of [
    "add_request_headers",
    "add_response_headers",
    "remove_request_headers",
    "remove_response_headers",
  ] as const) {
    if (mapping.spec[field] === undefined) continue;
    const value = shared[field];
    const names =
      typeof value === "string" ? [value] : Array.isArray(value) ? value : Object.keys(value ?? {});
    const values = typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
    for (const [name, given] of values) {
      const written = String(typeof given === "object" ? given.value : given);
      for (const operator of unknownOperators(written)) {
        diagnostics.push(
          diagnose("header-not-changed", {
            subject: subjectOf(mapping),
            source: positionOf(mapping, field),
            message: `${field}: ${name} has ${operator}, which nobody fills in; it goes out as it is written`,
            remedy: "Write %% for a per cent sign, or an operator that docs/reference names.",
          }),
        );
      }
    }
    for (const name of names.filter((each) => FRAMING_FIELDS.has(each.toLowerCase()))) {
      diagnostics.push(
        diagnose("header-not-changed", {
          subject: subjectOf(mapping),
          source: positionOf(mapping, field),
          message: `${field}: ${name} frames the message or chooses its connection, and is left as it is`,
        }),
      );
    }
  }
}

function retryPolicy({ retry_policy }: SharedSpec): RetryPolicy | undefined {
  if (retry_policy === undefined) return undefined;
  const perTryTimeoutMs = retry_policy.per_try_timeout && durationMs(retry_policy.per_try_timeout);
  return {
    on: retry_policy.retry_on,
    retries: retry_policy.num_retries ?? 1,
    ...(perTryTimeoutMs ? { perTryTimeoutMs } : {}),
  };
}

function hashPolicy({ load_balancer }: SharedSpec): HashPolicy | undefined {
  if (load_balancer?.cookie !== undefined) {
    const { name, path, ttl } = load_balancer.cookie;
    return {
      kind: "cookie",
      name,
      ...(path === undefined ? {} : { path }),
      ...(ttl === undefined ? {} : { ttlSeconds: Math.ceil(durationMs(String(ttl)) / 1000) }),
    };
  }
  if (load_balancer?.header !== undefined)
    return { kind: "header", name: load_balancer.header.toLowerCase() };
  return load_balancer?.source_ip === true ? { kind: "source-ip" } : undefined;
}

/** `1.5s`, `250ms`, `2m`, `1h`; a bare number is seconds. */
function durationMs(written: string): number {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(written);
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[(found?.[2] ?? "s") as "ms" | "s" | "m" | "h"];
  return found === null ? 0 : Math.round(Number(found[1]) * unit);
}
