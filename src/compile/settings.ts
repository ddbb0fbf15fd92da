import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { HttpSettings } from "../model/http.ts";
import type { ModuleConfig, ModuleResource } from "../resources/module.ts";
import { subjectOf } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import { addressPolicy } from "./addresses.ts";
import type { CompileOptions } from "./compilation.ts";
import { gzipSettings } from "./gzip.ts";
import { checkErrorResponses, errorResponses } from "./error-responses.ts";

/** What the Module and the flags say for everything: later passes read their defaults from it. */
export interface Settings {
  readonly config: ModuleConfig;
  readonly http: HttpSettings;
  readonly verificationRequired: boolean;
  /** Closes every route, with this code. */
  readonly closedBy: string | null;
  /** Cleartext requests go to https, where nobody says how names are served. */
  readonly redirectsCleartext: boolean;
}

/** First pass. Of several Modules one gives the settings, and each of them its restrictions (design §4.1). */
export function compileSettings(
  { modules }: ResourceSet,
  options: CompileOptions,
  diagnostics: Diagnostic[],
): Settings {
  const chosen = chooseModule(modules, diagnostics);
  const config = chosen?.spec ?? {};
  const addresses = addressPolicy(modules, diagnostics);
  const errors = errorResponses(config.error_response_overrides);
  if (chosen !== undefined) checkErrorResponses(chosen, subjectOf(chosen), diagnostics);
  const unenforced = addresses.unreadable || modules.some((module) => module.unenforced.length > 0);
  return {
    config,
    http: {
      useRemoteAddress: config.use_remote_address ?? true,
      xffTrustedHops: config.xff_num_trusted_hops ?? 0,
      mergeSlashes: config.merge_slashes ?? false,
      rejectEscapedSlashes: modules.some(({ spec }) => spec.reject_requests_with_escaped_slashes === true),
      preserveRequestId: config.preserve_external_request_id ?? false,
      stripMatchingHostPort: config.strip_matching_host_port ?? false,
      ...(config.max_request_headers_kb === undefined
        ? {}
        : { maxHeadBytes: config.max_request_headers_kb * 1024 }),
      ...(config.buffer === undefined ? {} : { maxBodyBytes: config.buffer.max_request_bytes }),
      ...(config.use_proxy_proto === true ? { proxyProtocol: true as const } : {}),
      ...(config.listener_idle_timeout_ms === undefined
        ? {}
        : { idleTimeoutMs: config.listener_idle_timeout_ms }),
      ...underscores(config.headers_with_underscores_action),
      ...clientCertificate(config),
      ...gzipSettings(chosen, options.engine, diagnostics),
      ...probes(config),
      ...(addresses.policy === null ? {} : { addresses: addresses.policy }),
      ...(errors === undefined ? {} : { errorResponses: errors }),
      serverName: config.server_name ?? "credence",
    },
    verificationRequired:
      options.requireUpstreamVerification === true ||
      modules.some(({ spec }) => spec.upstream_verification === "required"),
    closedBy: unenforced && options.allowUnenforced !== true ? "access-control-not-enforced" : null,
    redirectsCleartext: modules.some(({ spec }) => spec.x_forwarded_proto_redirect === true),
  };
}

/** The one in namespace `default`, where the gateway itself is, else the first by namespace. */
function chooseModule(
  modules: readonly ModuleResource[],
  diagnostics: Diagnostic[],
): ModuleResource | undefined {
  const chosen = modules.find(({ namespace }) => namespace === "default") ?? modules[0];
  for (const module of modules) {
    if (chosen === undefined || module === chosen) continue;
    diagnostics.push(
      diagnose("object-duplicate", {
        subject: subjectOf(module),
        source: module.raw.source,
        message: `the settings are those of Module ambassador in namespace ${chosen.namespace}; of this one only restrictions hold`,
        remedy: "Keep one Module ambassador.",
      }),
    );
  }
  return chosen;
}

const MODES = {
  SANITIZE: null,
  FORWARD_ONLY: "forward-only",
  APPEND_FORWARD: "append-forward",
  SANITIZE_SET: "sanitize-set",
  ALWAYS_FORWARD_ONLY: "always-forward-only",
} as const;
/** In the order in which Envoy writes them. */
const DETAILS = ["cert", "chain", "subject", "uri", "dns"] as const;

function clientCertificate(config: ModuleConfig): Pick<HttpSettings, "clientCertificate"> {
  const mode = MODES[config.forward_client_cert_details ?? "SANITIZE"];
  if (mode === null) return {};
  const details = DETAILS.filter((detail) => config.set_current_client_cert_details?.[detail] === true);
  return { clientCertificate: { mode, details } };
}

function probes({ readiness_probe, liveness_probe }: ModuleConfig): Pick<HttpSettings, "probes"> {
  if (readiness_probe === undefined && liveness_probe === undefined) return {};
  const prefix = (probe: ModuleConfig["readiness_probe"], byDefault: string): string | null =>
    probe?.enabled === false ? null : (probe?.prefix ?? byDefault);
  return {
    probes: {
      ready: prefix(readiness_probe, "/ambassador/v0/check_ready"),
      alive: prefix(liveness_probe, "/ambassador/v0/check_alive"),
    },
  };
}

function underscores(
  action: ModuleConfig["headers_with_underscores_action"],
): Pick<HttpSettings, "underscores"> {
  if (action === "REJECT_REQUEST") return { underscores: "reject" };
  return action === "DROP_HEADER" ? { underscores: "drop" } : {};
}
