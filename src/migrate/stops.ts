import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { MigrationFinding, Report, Written } from "./finding.ts";
import type { MigrationInput } from "./input.ts";

/**
 * Last: what answers 503, or is refused, and has no error yet. Objects that imply Mappings and hosts (Ingress, old
 * Modules) come here too. Nothing that stops may go unsaid; a test holds the golden cases to it.
 */
export function stopRules(input: MigrationInput, found: readonly MigrationFinding[], report: Report): void {
  const errors = found.filter(({ severity }) => severity === "error");
  const said = new Set(errors.map(({ subject }) => `${subject.namespace}/${subject.name}`));
  if (!errors.some(({ code }) => code === "access-control-closes")) {
    const routes = new Map<string, Stopped>();
    for (const { name, action } of input.model.routes.flatMap(({ destinations }) => destinations))
      if (action.kind === "fail" && !said.has(identityOf(name))) stop(routes, input, name, name, action.code);
    for (const { at, names, code, why } of routes.values()) {
      report("route-stops", {
        at,
        before:
          code === "engine-cannot"
            ? "It was served as it is written."
            : `Whatever ${code} is about went unnoticed, or the object was left out and its requests went elsewhere.`,
        now: `${names.join(", ")} ${names.length === 1 ? "answers" : "answer"} 503 (${code})${why === undefined ? "" : `: ${why.message}`}.`,
        edit: { what: why?.remedy ?? "`credence check` says how to mend it.", yaml: "" },
      });
    }
  }
  const connections = new Map<string, Stopped>();
  for (const { tls, destinations } of (input.model.tcpListeners ?? []).flatMap(({ chains }) => chains)) {
    for (const { name, action } of destinations) {
      const code = tls.mode === "refuse" ? tls.code : action.kind === "fail" ? action.code : null;
      if (code !== null && !said.has(identityOf(name))) stop(connections, input, name, name, code);
    }
  }
  for (const { at, names, code, why } of connections.values()) {
    report("route-stops", {
      at,
      before: `Whatever ${code} is about went unnoticed, or the object was left out.`,
      now: `Connections for ${names.join(", ")} are closed (${code})${why === undefined ? "" : `: ${why.message}`}.`,
      edit: { what: why?.remedy ?? "`credence check` says how to mend it.", yaml: "" },
    });
  }
  const hosts = new Map<string, Stopped>();
  for (const { domain, origin, tls } of input.model.virtualHosts)
    if (tls.mode === "refuse" && !said.has(identityOf(origin))) stop(hosts, input, origin, domain, tls.code);
  for (const { at, names, code, why } of hosts.values()) {
    report("host-stops", {
      at,
      before:
        "The name was served without what is wrong here, or the object was left out and the name served by another, in cleartext if there is none.",
      now: `Handshakes for ${names.join(", ")} are refused, and so is cleartext (${code})${why === undefined ? "" : `: ${why.message}`}.`,
      edit: { what: why?.remedy ?? "`credence check` says how to mend it.", yaml: "" },
    });
  }
}

interface Stopped {
  readonly at: Written;
  /** Routes or domains. */
  readonly names: string[];
  readonly code: string;
  readonly why: Diagnostic | undefined;
}

/** One finding for what one object stops for one reason. */
function stop(
  stopped: Map<string, Stopped>,
  { diagnostics, documents }: MigrationInput,
  origin: string,
  name: string,
  code: string,
): void {
  const [kind = "", namespace = "", object = ""] = origin.split("/");
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const isOf = ({ subject }: Diagnostic): boolean =>
    subject.namespace === namespace && subject.name === object;
  const why =
    errors.find((found) => isOf(found) && found.code === code) ??
    errors.find(isOf) ??
    errors.find((found) => found.code === code && found.subject.namespace === namespace);
  const key = why === undefined ? origin : `${why.source?.file}:${why.source?.line} ${code}`;
  const known = stopped.get(key);
  if (known !== undefined) {
    known.names.push(name);
    return;
  }
  const source = why?.source ?? documents[0]?.source ?? { file: "", line: 1, column: 1 };
  const subject = why?.subject ?? { kind, namespace, name: object };
  stopped.set(key, { at: { ...subject, raw: { source, fields: new Map() } }, names: [name], code, why });
}

function identityOf(origin: string): string {
  return origin.split("/").slice(1).join("/");
}
