import type { EngineProblem } from "../engine.ts";
import type { AdsClient, AdsNack, NackOutcome } from "./ads/client.ts";
import { isBindFailure } from "./ads/session.ts";
import { unavailable } from "./port-probe.ts";

/** What clients refuse, once for each part of the model, in a stable order. `tcp`: names of TCP listeners. */
export function problemsOf(fleet: readonly AdsClient[], tcp: ReadonlySet<string>): EngineProblem[] {
  const problems = new Map<string, EngineProblem & { clients: string[] }>();
  for (const { node, nacks } of fleet) {
    for (const nack of nacks) {
      for (const problem of problemsOfNack(nack, tcp)) {
        const key = `${problem.code} ${problem.subject} ${problem.message}`;
        const known = problems.get(key);
        if (known === undefined) problems.set(key, { ...problem, clients: [node] });
        else if (!known.clients.includes(node)) known.clients.push(node);
      }
    }
  }
  return [...problems.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { clients, message, ...problem }]) => ({
      ...problem,
      message: `${message} (${clients.sort().join(", ")})`,
    }));
}

function problemsOfNack(nack: AdsNack, tcp: ReadonlySet<string>): EngineProblem[] {
  const { kind, name, detail, from } = nack;
  if (kind === "listener" && isBindFailure(nack))
    return [
      {
        code: unavailable(name, tcp),
        subject: name,
        message: `listener ${name} cannot be opened: ${detail.trim()}`,
      },
    ];
  const subjects = from.length === 0 ? [name] : from;
  return subjects.map((subject) => ({
    code: "engine-refused",
    subject,
    message: `Envoy refuses ${kind} ${name}: ${detail.trim()}; ${INSTEAD[nack.instead]}`,
  }));
}

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
