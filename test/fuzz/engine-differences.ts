import type { Outcome, Seen } from "./engine-pair.ts";
import type { Probe } from "./engine-probes.ts";

// What docs/engines.md says that Envoy answers otherwise. None of it lets a request through to an upstream that the other
// engine does not ask. The rest of that page's list is kept out of what is generated (engine-probes.ts, engine-worlds.ts).

/** The outcome as far as both engines have to agree on it. */
export function comparable(outcome: Outcome, probe: Probe): Outcome {
  return IN_AN_ANSWER.reduce((answer, { without }) => without(answer, probe), outcome);
}

/** The request is refused, or redirected, on both engines, and for two reasons: they look at these in another order. */
export function refusesForAnotherReason(node: Outcome, envoy: Outcome, probe: Probe): boolean {
  if (node.seen.length > 0 || envoy.seen.length > 0 || node.status === null || envoy.status === null)
    return false;
  const [ours, theirs] = [node.status, envoy.status];
  return ANOTHER_REASON.some(({ holds }) => holds(ours, theirs, probe));
}

const IN_AN_ANSWER: readonly {
  readonly reason: string;
  readonly without: (answer: Outcome, probe: Probe) => Outcome;
}[] = [
  {
    reason: "Envoy writes a Mapping's add_response_headers and CORS headers into its own failures as well",
    without: (answer) =>
      isOwn(answer) && answer.status !== null && answer.status >= 400
        ? only(answer, /^(?:content-type|server):/)
        : answer,
  },
  {
    reason: "into answers to probes too, and says which cluster it is",
    without: (answer, probe) => (isOwn(answer) && isProbe(probe) ? only(answer, /^server:/) : answer),
  },
  {
    reason: "Envoy says Access-Control-Expose-Headers in a preflight's answer already",
    without: (answer, { method }) =>
      isOwn(answer) && method === "OPTIONS" && answer.status === 200
        ? only(answer, /^(?!access-control-expose-headers)/)
        : answer,
  },
  {
    reason:
      "a redirect to https has the path as it came, and in its normal form on Envoy, which may name port 443 and keeps a host's case",
    without: (answer) => ({
      ...answer,
      head: answer.head.map((line) => line.replace(/(?<=^location: )https:.*/, normal)),
    }),
  },
  {
    reason: "the node engine refuses a head that it cannot read to the end before it knows that it is HEAD's",
    without: (answer, { method }) => (method === "HEAD" ? { ...answer, body: "" } : answer),
  },
  {
    reason: "an upstream is shown a Host without its final dot by Envoy",
    without: (answer) => ({ ...answer, seen: answer.seen.map(undotted) }),
  },
];

const ANOTHER_REASON: readonly {
  readonly reason: string;
  readonly holds: (node: number, envoy: number, probe: Probe) => boolean;
}[] = [
  {
    reason: "Envoy measures a body before it knows what the request is for",
    holds: (node, envoy) => envoy === 413 && node >= 300,
  },
  {
    reason: "Envoy looks at a path before it looks at the host, the node engine after it",
    holds: (node, envoy) => envoy === 400 && node >= 300,
  },
  {
    reason:
      "Envoy knows the Mapping where it refuses an address, and answers with its error_response_overrides",
    holds: (node, envoy) => envoy === 403 && node === 403,
  },
  {
    reason: "Envoy looks at addresses before it reads the Host, the node engine after it",
    holds: (node, envoy) => envoy === 403 && node === 400,
  },
  {
    reason:
      "Envoy's CORS filter does not look at Mappings that redirect: a preflight is redirected, which browsers take for a no",
    holds: (node, envoy, { method }) => method === "OPTIONS" && node === 200 && envoy >= 301 && envoy <= 308,
  },
  {
    reason: "Envoy answers a probe whatever its Host",
    holds: (node, envoy, probe) => isProbe(probe) && envoy === 200 && node === 400,
  },
];

/** Nobody was asked. */
function isOwn({ seen }: Outcome): boolean {
  return seen.length === 0;
}

function isProbe({ path }: Probe): boolean {
  return path.startsWith("/ambassador/v0/check_");
}

function only(answer: Outcome, lines: RegExp): Outcome {
  return { ...answer, head: answer.head.filter((line) => lines.test(line)) };
}

/** The path without dot segments (with parameters or without), escapes and further slashes. */
function normal(location: string): string {
  const [, origin = "", path = "", query = ""] = /^(https:\/\/[^/]*)([^?]*)(.*)$/.exec(location) ?? [];
  const decoded = decodeURI(path)
    .replaceAll("\\", "/")
    .replace(/(?<=\/\.{1,2});[^/]*/g, "");
  return (
    origin.toLowerCase().replace(/:443$/, "") +
    new URL(`http://a${decoded}`).pathname.replace(/\/{2,}/g, "/") +
    query
  );
}

function undotted(seen: Seen): Seen {
  const { host, ...headers } = seen.headers;
  return { ...seen, headers: { ...headers, host: host?.replace(/\.(?=$|:)/, "") ?? "" } };
}
