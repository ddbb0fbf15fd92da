import type { EngineProblem } from "../engine.ts";
import type { AdsClient, AdsNack } from "./ads/client.ts";
import { isBindFailure } from "./ads/session.ts";

/** What clients refuse, once for each part of the model, in a stable order. */
export function problemsOf(fleet: readonly AdsClient[]): EngineProblem[] {
  const problems = new Map<string, EngineProblem & { clients: string[] }>();
  for (const { node, nacks } of fleet) {
    for (const nack of nacks) {
      for (const problem of problemsOfNack(nack)) {
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

function problemsOfNack(nack: AdsNack): EngineProblem[] {
  const { kind, name, detail, from } = nack;
  if (kind === "listener" && isBindFailure(nack))
    return [
      {
        code: "listener-port-unavailable",
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

const INSTEAD: Readonly<Record<AdsNack["instead"], string>> = {
  mended: "the route answers 503, the others of its host are served",
  "last-good": "its last good version stays",
  nothing: "it is left out",
};
