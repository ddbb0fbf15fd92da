import { parseService } from "../compile/service.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { nearest } from "../resources/nearest.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import type { Edit, Report } from "./finding.ts";
import { type Fate, fates, type MigrationInput } from "./input.ts";
import type { Legacy } from "./legacy.ts";
import { fieldsYaml, objectYaml, secretYaml } from "./snippet.ts";

/** Rules about each Mapping's way to its upstream (reference §2.2, §2.3.1). */
export function upstreamRules(input: MigrationInput, legacy: Legacy, report: Report): void {
  const fateOf = fates(input.model);
  for (const mapping of input.resources.mappings) {
    const fate = fateOf(mapping);
    const { spec } = mapping;
    if (spec.host_redirect === true || fate.kind === "none" || fate.kind === "redirect") continue;
    if (mapping.closedBy !== null) continue; // `mapping-dropped` says it.
    const service = parseService(spec.service);
    if (typeof service === "string") {
      report("service-malformed", {
        at: mapping,
        field: "service",
        before: `service ${JSON.stringify(spec.service)} ${service}; an error was posted, and requests went to some cluster all the same.`,
        now: "The route answers 503.",
        edit: {
          what: "Write the service as [scheme://]host[:port].",
          yaml: fieldsYaml({ service: "https://host:443" }),
        },
      });
      continue;
    }
    if (spec.tls === false) {
      report("tls-false-ignored", {
        at: mapping,
        field: "tls",
        before: `tls: false did nothing, and ${service.scheme === "https" ? "TLS was spoken" : "cleartext was spoken because the service says so"}.`,
        now: "The same, with a warning.",
        edit: { what: "Take `tls: false` out; for cleartext write http:// in the service.", yaml: "" },
      });
    }
    if (typeof spec.tls === "string")
      namedContext(mapping, spec.tls, service.scheme, fate, input, legacy, report);
    else if (fate.kind === "forward" && fate.tls.mode === "originate") unverified(mapping, undefined, report);
    else if (fate.kind === "fail") stops(mapping, fate.code, "requests went to the service", input, report);
  }
}

function namedContext(
  mapping: MappingResource,
  name: string,
  scheme: "http" | "https" | null,
  fate: Fate,
  input: MigrationInput,
  legacy: Legacy,
  report: Report,
): void {
  const context = legacy.context(name);
  const judged = context === undefined ? undefined : legacy.judge(context);
  const now = nowText(fate);
  if (judged?.usable !== true) {
    const why = judged === undefined ? "it is not defined" : judged.why;
    const stopped = fate.kind === "fail";
    const { service } = mapping.spec;
    const said =
      scheme === "https"
        ? `${service} was spoken to by TLS without a client certificate, and without verifying it.`
        : `Requests went to ${service} in cleartext, to port 80 where none is written.`;
    report(scheme === "https" ? "unverified-fallback" : "cleartext-fallback", {
      at: mapping,
      field: "tls",
      before: `TLSContext ${name} was left out (${why}). ${said}`,
      now,
      ...(stopped ? { severity: "error" as const } : {}),
      edit: stopped ? missing(mapping, name, context, judged, input, legacy) : keepCleartext(mapping, scheme),
    });
    return;
  }
  if (scheme === "http") {
    report("tls-over-http-scheme", {
      at: mapping,
      field: "service",
      before: `TLS was spoken although the service says http://, with an error on the diagnostics page.`,
      now: `The same, with a warning. ${now}`,
      edit: {
        what: "Say what is meant.",
        yaml: fieldsYaml({ service: mapping.spec.service.replace(/^http:/i, "https:"), tls: name }),
      },
    });
  }
  if (fate.kind === "fail") {
    stops(mapping, fate.code, `TLS was spoken with TLSContext ${name}`, input, report);
    return;
  }
  if (fate.kind !== "forward" || fate.tls.mode !== "originate") return;
  const before = `${(context as TlsContextResource).namespace}/${(context as TlsContextResource).name}`;
  if (fate.tls.context !== undefined && fate.tls.context !== before) {
    report("context-another", {
      at: mapping,
      field: "tls",
      before: `${name} was looked up by its bare name in all namespaces, and found as ${before}.`,
      now: `It is ${fate.tls.context}: the Mapping's own namespace comes first.`,
      edit: {
        what: "Name the other one with its namespace, if that is meant.",
        yaml: fieldsYaml({ tls: before.split("/").reverse().join(".") }),
      },
    });
  } else if ((context as TlsContextResource).namespace !== mapping.namespace && !name.includes(".")) {
    report("context-by-bare-name", {
      at: mapping,
      field: "tls",
      before: `${name} was found in namespace ${(context as TlsContextResource).namespace}: any namespace could put one of this name before it.`,
      now: "It is found as long as no other namespace has one of this name; two of them close the route.",
      edit: {
        what: "Name it with its namespace.",
        yaml: fieldsYaml({ tls: before.split("/").reverse().join(".") }),
      },
    });
  }
  if (fate.tls.verification.mode === "none") unverified(mapping, context, report);
  else if (judged.verifies) {
    report("upstream-name-not-checked", {
      at: mapping,
      field: "tls",
      before: "The upstream's chain was verified and its name was not: any certificate of that CA passed.",
      now: `It must also be for ${fate.tls.verification.name}.`,
      edit: {
        what: `If its certificate has another name, write that one in TLSContext ${name}.`,
        yaml: fieldsYaml({ sni: "name.in.the.certificate" }),
      },
    });
  } else {
    report("ca-crt-ignored", {
      at: mapping,
      field: "tls",
      before: `The CA beside the certificate in ${fate.tls.verification.trust} was ignored: the upstream was not verified.`,
      now: `The upstream's certificate must chain to that CA and be for ${fate.tls.verification.name}.`,
      edit: {
        what: `If its certificate has another name, write that one in TLSContext ${name}.`,
        yaml: fieldsYaml({ sni: "name.in.the.certificate" }),
      },
    });
  }
}

function nowText(fate: Fate): string {
  if (fate.kind === "fail") return `The route answers 503 (${fate.code}) until that is mended.`;
  if (fate.kind !== "forward" || fate.tls.mode === "cleartext") return "Requests go in cleartext.";
  const { verification, credential } = fate.tls;
  const shown = credential === undefined ? "without a client certificate" : "with its client certificate";
  const verified =
    verification.mode === "none" ? "nothing is verified" : `chain and name ${verification.name} are verified`;
  return `TLS is spoken ${shown}; ${verified}.`;
}

function unverified(mapping: MappingResource, context: TlsContextResource | undefined, report: Report): void {
  const name = context?.name ?? "upstream";
  report("upstream-not-verified", {
    at: mapping,
    field: mapping.spec.tls === undefined ? "service" : "tls",
    before: `The certificate of ${mapping.spec.service} was not verified, silently.`,
    now: "The same, with a warning; --require-upstream-verification makes such a route answer 503.",
    edit:
      context === undefined
        ? {
            what: "Name a TLSContext with the upstream's CA in the Mapping's `tls`.",
            yaml: `${fieldsYaml({ tls: name })}---\n${objectYaml("TLSContext", { namespace: mapping.namespace, name }, { hosts: [], ca_secret: "upstream-ca" })}`,
          }
        : {
            what: `Give TLSContext ${name} the upstream's CA.`,
            yaml: fieldsYaml({ ca_secret: "upstream-ca" }),
          },
  });
}

/** Whatever else closes a route that 1.14 served: nothing that stops may go unsaid. */
function stops(
  mapping: MappingResource,
  code: string,
  before: string,
  input: MigrationInput,
  report: Report,
): void {
  if (code === "access-control-not-enforced") return; // `access-control-closes` says it once.
  const own = input.diagnostics.find(
    (found) =>
      found.subject.name === mapping.name &&
      found.subject.namespace === mapping.namespace &&
      found.severity === "error",
  );
  report("route-stops", {
    at: mapping,
    field: mapping.spec.tls === undefined ? "service" : "tls",
    before: `Whatever ${code} is about went unnoticed: ${before}.`,
    now: `The route answers 503 (${code})${own === undefined ? "" : `: ${own.message}`}.`,
    edit: { what: own?.remedy ?? "`credence check` says how to mend it.", yaml: "" },
  });
}

function missing(
  mapping: MappingResource,
  name: string,
  context: TlsContextResource | undefined,
  judged: ReturnType<Legacy["judge"]> | undefined,
  { resources }: MigrationInput,
  legacy: Legacy,
): Edit {
  if (context === undefined) {
    const near = nearest(
      name,
      resources.tlsContexts.map((each) => each.name),
    );
    if (near !== undefined)
      return { what: `Mend the name: ${near} is there.`, yaml: fieldsYaml({ tls: near }) };
    return {
      what: "Write the TLSContext, or mend the name.",
      yaml: objectYaml(
        "TLSContext",
        { namespace: mapping.namespace, name },
        { hosts: [], secret: `${name}-certs` },
      ),
    };
  }
  const isCa = judged?.usable === false && judged.about === "ca";
  const secret = isCa ? context.spec.ca_secret : context.spec.secret;
  if (secret === undefined)
    return { what: `Mend TLSContext ${context.name}; \`credence check\` says how.`, yaml: "" };
  const elsewhere = [...legacy.secrets.values()].find(({ written }) => written.name === secret)?.written
    .namespace;
  if (elsewhere !== undefined && elsewhere !== context.namespace)
    return {
      what: `Name the Secret of namespace ${elsewhere}, if it is the one that is meant.`,
      yaml: fieldsYaml({ [isCa ? "ca_secret" : "secret"]: `${secret}.${elsewhere}` }),
    };
  const pem = isCa
    ? { "ca.crt": "# the CA as PEM" }
    : { "tls.crt": "# certificate and chain as PEM", "tls.key": "# key as PEM" };
  return {
    what: "Provide the Secret among the resources, or mend its name.",
    yaml: secretYaml(context.namespace, secret, pem),
  };
}

function keepCleartext(mapping: MappingResource, scheme: "http" | "https" | null): Edit {
  const host = mapping.spec.service.replace(/^\w+:\/\//, "");
  return scheme === "https"
    ? { what: "None, if the upstream takes the certificate; to go on without it, take `tls` out.", yaml: "" }
    : {
        what: "None, if the upstream speaks TLS; to go on in cleartext, take `tls` out and write this.",
        yaml: fieldsYaml({ service: `http://${host}` }),
      };
}
