import type { TlsContextResource } from "../resources/tls-context.ts";
import type { Report, Written } from "./finding.ts";
import { fates, type MigrationInput } from "./input.ts";
import type { Legacy } from "./legacy.ts";
import { fieldsYaml } from "./snippet.ts";

/** Rules about a TLSContext by itself, as upstreams see it (reference §2.3.1, §2.3.3). */
export function contextRules(input: MigrationInput, legacy: Legacy, report: Report): void {
  const used = usedUpstream(input);
  for (const context of input.resources.tlsContexts) {
    const { spec } = context;
    const judged = legacy.judge(context);
    const name = `${context.namespace}/${context.name}`;
    if (!judged.usable && !context.terminates && used.has(name)) {
      report("context-refused", {
        at: context,
        before: `It was refused (${judged.why}): who named it went on without it.`,
        now: "It is accepted: what it says holds.",
      });
    }
    for (const field of ["secret", "ca_secret"] as const) {
      const written = spec[field];
      if (written === undefined || legacy.secretOf(context, written) !== "undelivered") continue;
      report("secret-not-delivered", {
        at: context,
        field,
        before: `One half of 1.14 split ${written} at its dot and the other, for there is a Module ambassador, did not: the Secret was not found.`,
        now: "It is read as name and namespace everywhere.",
      });
    }
    frozen(context, report);
  }
  differences(input, used, report);
}

/** Fields that Envoy's message for this direction does not have, or whose value it does not take. */
function frozen(context: TlsContextResource, report: Report): void {
  const { spec, terminates } = context;
  const before = (what: string): string =>
    `${what}: Envoy refuses such a configuration, and with it every change of any object until it was mended.`;
  if (spec.cert_required !== undefined && !terminates) {
    report("configuration-frozen", {
      at: context,
      field: "cert_required",
      before: before("cert_required went into a context for upstreams, which has no such field"),
      now: "It means nothing there, and nothing else is hurt.",
      edit: { what: "Take cert_required out.", yaml: "" },
    });
  }
  if (spec.sni !== undefined && terminates) {
    report("configuration-frozen", {
      at: context,
      field: "sni",
      before: before("sni went into a context that serves clients, which has no such field"),
      now: "It is used towards upstreams only, and nothing else is hurt.",
      edit: { what: "Take sni out, or write a second TLSContext for upstreams.", yaml: "" },
    });
  }
}

/** What is better for all of them alike is said once. */
function differences(input: MigrationInput, used: ReadonlyMap<string, Written>, report: Report): void {
  const named = input.resources.tlsContexts.filter(({ namespace, name }) => used.has(`${namespace}/${name}`));
  const bare = used.get("");
  const without = (field: "sni" | "max_tls_version"): Written[] => [
    ...named.filter(({ spec }) => spec[field] === undefined),
    ...(bare === undefined ? [] : [bare]),
  ];
  const [first, ...others] = without("sni");
  if (first !== undefined) {
    report("server-name-not-sent", {
      at: first,
      also: others,
      before: "No server name was sent in handshakes with upstreams, as none is written.",
      now: "The host of the Mapping's service is sent, and is the name that is verified.",
      edit: {
        what: "None, unless an upstream knows itself by another name; then write it in its TLSContext.",
        yaml: fieldsYaml({ sni: "name.of.the.upstream" }),
      },
    });
  }
  const [old, ...also] = without("max_tls_version");
  if (old !== undefined) {
    report("upstream-tls-12", {
      at: old,
      also,
      before:
        "Upstreams were spoken to by TLS 1.2 at most, Envoy's default; a minimum of v1.3 alone could not be met.",
      now: "TLS 1.3 where the upstream has it, with X25519MLKEM768 first.",
      edit: {
        what: "None, unless an upstream breaks on it; then write this in its TLSContext.",
        yaml: fieldsYaml({ max_tls_version: "v1.2" }),
      },
    });
  }
}

/** Contexts that upstreams are spoken to with, by `namespace/name`; under "" a Mapping that speaks TLS without one. */
function usedUpstream(input: MigrationInput): Map<string, Written> {
  const fateOf = fates(input.model);
  const used = new Map<string, Written>();
  for (const mapping of input.resources.mappings) {
    const fate = fateOf(mapping);
    if (fate.kind !== "forward" || fate.tls.mode === "cleartext") continue;
    const name = fate.tls.context ?? "";
    if (!used.has(name)) used.set(name, mapping);
  }
  return used;
}
