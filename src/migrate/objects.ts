import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { isRecord } from "../resources/fields.ts";
import { KEYS_WITHOUT_EFFECT } from "../resources/module-fields.ts";
import type { Report, Written } from "./finding.ts";
import { type MigrationInput, writtenObjects } from "./input.ts";
import { ISTIO_TYPE, type Legacy } from "./legacy.ts";
import { fieldsYaml } from "./snippet.ts";

/** Rules about Secrets, about objects as such, and about the gateway as a whole (reference §2.1, §2.4, §4.2). */
export function objectRules(input: MigrationInput, legacy: Legacy, report: Report): void {
  secrets(legacy, report);
  for (const found of input.diagnostics) fromDiagnostic(found, report);
  expansions(input, report);
  moduleKeys(input, report);
  if (input.resources.mappings.length > 0) publicDiagnostics(input, report);
}

function secrets(legacy: Legacy, report: Report): void {
  const withKeys: Written[] = [];
  for (const { written, type, keys } of legacy.secrets.values()) {
    if (keys.has("tls.key") || keys.has("key.pem")) withKeys.push(written);
    if (keys.has("root-cert.pem") && type === ISTIO_TYPE) {
      report("root-rotation-unseen", {
        at: written,
        before:
          "A new root-cert.pem alone was not noticed: the name under which a Secret was kept left it out.",
        now: "Every change of it is seen.",
      });
    }
  }
  const [first, ...also] = withKeys;
  if (first === undefined) return;
  report("keys-on-disk", {
    at: first,
    also,
    before: "Keys were written to files that everybody in the pod could read, and never removed.",
    now: "They stay in memory.",
  });
}

/** What `check` has found and 1.14 did not see, or saw otherwise. */
function fromDiagnostic(found: Diagnostic, report: Report): void {
  const { code, subject, source, message, remedy } = found;
  if (source === undefined) return;
  const at: Written = { ...subject, raw: { source, fields: new Map() } };
  if (subject.kind === "Secret" && UNCHECKED.has(code) && found.severity === "error") {
    report("credential-unchecked", {
      at,
      before: `Nobody looked (${message}): an expired certificate was shown, and what is no PEM, or not a pair, froze the configuration.`,
      now: "It is not used; what needs it answers 503, or refuses handshakes.",
      edit: { what: remedy, yaml: "" },
    });
  }
  if (code === "secret-type-unsupported") {
    report("secret-type-ignored", {
      at,
      before: `It was ignored without a word (${message}), and so was what needs it.`,
      now: "It is not used either; what names it gets an error that says so.",
      edit: {
        what: "Give it a type that holds certificates.",
        yaml: fieldsYaml({ type: "kubernetes.io/tls" }),
      },
    });
  }
  if (FREEZING.has(code)) {
    report("configuration-frozen", {
      at,
      severity: "error",
      before: `${message}: Envoy refuses such a configuration, and with it every change of any object until it was mended.`,
      now: "What it stands in is closed, and nothing else is hurt.",
      edit: { what: remedy, yaml: "" },
    });
  }
  if (code === "kind-not-supported") {
    const carriesTraffic = !/^(?:RateLimit|Log|Tracing)Service$/.test(subject.kind);
    report("object-not-served", {
      at,
      ...(carriesTraffic ? {} : { severity: "warning" as const }),
      before: "It was acted on.",
      now: `${message}.`,
      edit: { what: remedy, yaml: "" },
    });
  }
  if (code === "object-duplicate") {
    report("last-one-won", {
      at,
      before: `${message}: the last one read won.`,
      now: "None of them is used, and what they guard stays closed.",
      edit: { what: remedy, yaml: "" },
    });
  }
  if (code === "access-control-not-enforced") {
    report("access-control-closes", {
      at,
      before: "It was enforced where it was valid, and left out, with the routes open, where it was not.",
      now: `${message}: the routes answer 503, unless --allow-unenforced is given.`,
      edit: { what: remedy, yaml: "" },
    });
  }
}

const UNCHECKED = new Set(
  (
    "pem-invalid private-key-invalid private-key-encrypted private-key-mismatch certificate-expired " +
    "certificate-not-yet-valid certificate-purpose certificate-key-weak trust-empty trust-not-ca secret-data-invalid"
  ).split(" "),
);
const FREEZING = new Set(["regex-invalid", "tls-cipher-unknown", "tls-group-unknown"]);

/** Settings that do nothing here. What was served because of one, and is not now, stops. */
function moduleKeys({ resources }: MigrationInput, report: Report): void {
  for (const module of resources.modules) {
    const { config } = (module.raw.value as { spec?: { config?: unknown } }).spec ?? {};
    for (const [key, value] of Object.entries(isRecord(config) ? config : {})) {
      const instead = Object.hasOwn(KEYS_WITHOUT_EFFECT, key) ? KEYS_WITHOUT_EFFECT[key] : undefined;
      // The diagnostics page has a rule of its own.
      if (instead === undefined || value === false || value === null || key === "diagnostics") continue;
      const stops = STOPPING_KEYS[key];
      report(stops === undefined ? "module-key-lost" : "module-key-stops", {
        at: module,
        field: key,
        before: `${key} was followed.`,
        now: stops ?? `${key} does nothing.`,
        edit: { what: instead, yaml: "" },
      });
    }
  }
}

const STOPPING_KEYS: Readonly<Record<string, string>> = {
  enable_http10: "Requests of HTTP/1.0 are answered with 426.",
  enable_grpc_http11_bridge: "gRPC is not served, so neither is what is bridged to it.",
  enable_grpc_web: "gRPC-Web is not served.",
};

/** 1.14 put environment variables into the whole text; only ConsulResolver.address still has them. */
function expansions(input: MigrationInput, report: Report): void {
  for (const kind of new Set(
    input.documents.map(({ value }) => (isRecord(value) && typeof value.kind === "string" ? value.kind : "")),
  )) {
    if (kind === "Secret" || kind === "ConsulResolver" || kind === "") continue;
    for (const written of writtenObjects(input, kind)) {
      for (const [field, value] of Object.entries(written.spec)) {
        const variable = /\$(?:\{\w+\}|[A-Za-z_]\w*)/.exec(JSON.stringify(value) ?? "")?.[0];
        if (variable === undefined) continue;
        report("environment-expanded", {
          at: written,
          field,
          before: `${variable} was replaced by the environment's variable, if there is one, also where a regular expression or a template meant it.`,
          now: "It is taken as it stands.",
          edit: { what: `Write the value of ${variable}, if it was meant.`, yaml: "" },
        });
      }
    }
  }
}

function publicDiagnostics(input: MigrationInput, report: Report): void {
  const [module] = writtenObjects(input, "Module").filter(({ name }) => name === "ambassador");
  const config = isRecord(module?.spec.config) ? module.spec.config : {};
  const isOff = isRecord(config.diagnostics) && config.diagnostics.enabled === false;
  const [mapping] = input.resources.mappings;
  const at = module ?? mapping;
  if (isOff || at === undefined) return;
  report("diagnostics-public", {
    at,
    ...(config.diagnostics === undefined ? {} : { field: "config.diagnostics" }),
    before:
      "The diagnostics page, with every object and route, was open to whoever could reach the gateway, at /ambassador/v0/diag/.",
    now: "It is on the admin port only, which listens on loopback unless --admin-address says otherwise.",
  });
}
