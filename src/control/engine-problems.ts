import type { Compilation } from "../compile/compilation.ts";
import type { CredentialStore } from "../credentials/store.ts";
import { CATALOGUE, diagnose, type KnownCode } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import type { EngineProblem } from "../engines/engine.ts";
import type { AnyResource } from "../resources/kinds.ts";
import type { ResourceSet } from "../resources/resource-set.ts";

/** Where each resource of a compilation stands, by `mapping/default/shop`. */
export type Places = ReadonlyMap<string, SourcePosition>;

/**
 * Of all that was written, and of what a compilation made of an Ingress, by what it says its parts came from: `mapping/default/shop gateway/a.yaml:3`.
 * Found once: problems may stand for days.
 */
export function placesIn(made: Made): Places {
  const known = PLACES.get(made);
  if (known !== undefined) return known;
  const places = new Map<string, SourcePosition>();
  PLACES.set(made, places);
  for (const list of Object.values(made.resources) as readonly (readonly AnyResource[])[])
    for (const { kind, namespace, name, raw } of list)
      places.set(`${kind.toLowerCase()}/${namespace}/${name}`, raw.source);
  for (const reference of Object.values(made.compilation.references).flat()) {
    const found = /^(\S+) (.+):(\d+)$/.exec(reference);
    if (found === null) continue;
    const [, resource = "", file = "", line] = found;
    if (!places.has(resource)) places.set(resource, { file, line: Number(line), column: 1 });
  }
  // A port that cannot be opened is a listener's, which a TCPMapping asks for.
  for (const { name, chains } of made.compilation.model.tcpListeners ?? []) {
    const asking = chains.flatMap(({ destinations }) => destinations).find(({ name }) => places.has(name));
    if (asking !== undefined) places.set(name, places.get(asking.name) as SourcePosition);
  }
  return places;
}

interface Made {
  readonly resources: ResourceSet;
  readonly compilation: Pick<Compilation, "model" | "references">;
}

const PLACES = new WeakMap<Made, Places>();

/** What an engine does not take, as a finding about the object that it was made from: a part of the model, or a credential. */
export function engineDiagnostic(
  { code, subject, message }: EngineProblem,
  places: Places,
  credentials: Pick<CredentialStore, "originOf">,
): Diagnostic {
  const origin = credentials.originOf(subject);
  const source = origin?.source ?? places.get(subject);
  return diagnose(isKnown(code) ? code : "engine-refused", {
    subject: origin?.subject ?? subjectNamed(subject),
    message,
    ...(source === undefined ? {} : { source }),
  });
}

/** `mapping/default/shop` is an object that somebody wrote; anything else a listener of the model. */
function subjectNamed(subject: string): Subject {
  const [kind, namespace, ...name] = subject.split("/");
  const written = KINDS[kind ?? ""];
  if (written === undefined || namespace === undefined || name.length === 0)
    return { kind: "Listener", namespace: "", name: subject };
  return { kind: written, namespace, name: name.join("/") };
}

const KINDS: Readonly<Record<string, string>> = {
  authservice: "AuthService",
  envoy: "Envoy",
  host: "Host",
  ingress: "Ingress",
  logservice: "LogService",
  mapping: "Mapping",
  ratelimitservice: "RateLimitService",
  secret: "Secret",
  tcpmapping: "TCPMapping",
  tlscontext: "TLSContext",
  tracingservice: "TracingService",
};

function isKnown(code: string): code is KnownCode {
  return Object.hasOwn(CATALOGUE, code);
}
