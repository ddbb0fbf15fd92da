import type { EngineProblem } from "../engine.ts";
import type { AdsClient, AdsNack, NackOutcome } from "./ads/client.ts";
import { isBindFailure } from "./ads/session.ts";
import { unavailable } from "./port-probe.ts";

/**
 * What clients refuse, once for each part of the model and reason, in a stable order: a Mapping without a host is in each of a hundred virtual hosts, and
 * refused in each. `tcp`: names of TCP listeners.
 */
export function problemsOf(fleet: readonly AdsClient[], tcp: ReadonlySet<string>): EngineProblem[] {
  const problems = new Map<string, Problem & { names: Set<string>; clients: Set<string> }>();
  for (const { node, nacks } of fleet) {
    for (const nack of nacks) {
      for (const problem of problemsOfNack(nack, tcp)) {
        const key = `${problem.code} ${problem.subject} ${problem.before} ${problem.after}`;
        const known = problems.get(key);
        known?.names.add(nack.name);
        known?.clients.add(node);
        if (known === undefined)
          problems.set(key, { ...problem, names: new Set([nack.name]), clients: new Set([node]) });
      }
    }
  }
  return [...problems.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { code, subject, before, names, after, clients }]) => ({
      code,
      subject,
      message: `${before} ${listed(names)}${after} (${[...clients].sort().join(", ")})`,
    }));
}

/** Its message is made of what is said before and after the names of what is refused. */
interface Problem extends Omit<EngineProblem, "message"> {
  readonly before: string;
  readonly after: string;
}

function problemsOfNack(nack: AdsNack, tcp: ReadonlySet<string>): Problem[] {
  const { kind, name, detail, from } = nack;
  if (kind === "listener" && isBindFailure(nack)) {
    const after = ` cannot be opened: ${detail.trim()}`;
    return [{ code: unavailable(name, tcp), subject: name, before: "listener", after }];
  }
  const after = `: ${reasonIn(detail)}; ${INSTEAD[nack.instead]}`;
  const subjects = from.length === 0 ? [name] : from;
  return subjects.map((subject) => ({
    code: "engine-refused",
    subject,
    before: `Envoy refuses ${kind}`,
    after,
  }));
}

function listed(names: ReadonlySet<string>): string {
  const sorted = [...names].sort();
  const shown = sorted.slice(0, MOST_NAMES).join(", ");
  return sorted.length <= MOST_NAMES ? shown : `${shown} and ${sorted.length - MOST_NAMES} more`;
}

/** What Envoy objects to, without the whole message that it repeats, and of causes that nest the innermost. */
function reasonIn(detail: string): string {
  const text = detail.trim();
  const [, constraint] = /Proto constraint validation failed \((.*)\)$/s.exec(text) ?? [];
  if (constraint !== undefined) return constraint.split(" | caused by ").at(-1) as string;
  const plain = text
    .replace(/:?\s*goo\.gle\/debug\w+\s+/, ": ")
    .replace(/\s+/g, " ")
    .replace(/^: /, "");
  return plain.length <= MOST_CHARACTERS ? plain : `${plain.slice(0, MOST_CHARACTERS)}…`;
}

const MOST_NAMES = 3;
const MOST_CHARACTERS = 400;

const INSTEAD: Readonly<Record<NackOutcome, string>> = {
  closed: "the route answers 503, the others of its host are served",
  "closed-wider":
    "conditions of its match are refused, so whatever meets those that are left, its path among them, answers 503, even " +
    "requests that are for routes behind it; the other routes of its host are served",
  "host-closed":
    "its part in this host cannot be told from the rest, and there is no earlier version: all of the host answers 503",
  "last-good": "its last good version stays, with all else that is in it",
  nothing: "it is left out",
};
