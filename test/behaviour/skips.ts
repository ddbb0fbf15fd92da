import assert from "node:assert/strict";
import type { EngineName } from "../../src/model/capabilities.ts";
import type { BehaviourCase } from "./case.ts";

/** Tests that one engine does not pass on purpose. docs/engines.md has this list, and a test compares. */
export interface Skip {
  readonly engine: EngineName;
  /** Name of the test file, without `.test.ts`. */
  readonly file: string;
  /** Parts of the names of tests, each with the names of the blocks around it (` > `). */
  readonly tests: readonly string[];
  /** What they have in common. */
  readonly group: SkipGroup;
  readonly reason: string;
  /** Of behaviour.test.ts: the case runs all the same, and this is expected of it. Absent: it does not run. */
  readonly instead?: BehaviourCase["expect"];
  /** The test runs all the same: it is told of the difference, and holds the engine to it. */
  readonly isRun?: true;
}

export const SKIP_GROUPS = {
  "lenient parsing":
    "Envoy reads HTTP/1.1 more leniently than RFC 9112 asks for and than the node engine does. It writes each message anew, so what it took one way is not read another way by the upstream.",
  "paths and targets": "What Envoy makes of a target before routes are looked at.",
  "refused, and left open":
    "Refused on both engines; Envoy keeps the connection for further requests, since nobody can be of two minds about where the refused one ends.",
  upgrades: "An upgrade that is not passed on.",
  "headers of its own":
    "What Envoy writes into answers and copies of its own making, and what it passes on of interim ones.",
  "connections and retries": "When a connection is used again, and when a request is said again.",
  "how TCP connections end":
    "Of TCPMappings: how the last of a connection is told to the other side, and when it is due.",
  handshakes: "With clients, where TLS is terminated.",
  "ports that are taken":
    "A port of a listener that somebody else on the machine has, when a revision comes.",
  "reasons of failures": "Refused or failed alike; the words and the place that tell of it are Envoy's.",
  open: "Not looked into to the end: each of these is a difference to be mended, or to be put into a group above.",
} as const;

export type SkipGroup = keyof typeof SKIP_GROUPS;

export const SKIPS: readonly Skip[] = [
  {
    engine: "envoy",
    file: "behaviour",
    group: "lenient parsing",
    tests: [
      "a folded line",
      "a bare CR in a value",
      "a bare CR that hides a field",
      "a bare LF between fields",
      "a head that only bare LFs end",
    ],
    reason: "200: a fold and a bare CR in a value become blanks, a bare LF ends a line",
    instead: { statuses: [200] },
  },
  {
    engine: "envoy",
    file: "behaviour",
    group: "lenient parsing",
    tests: [
      "a chunk size of too many digits",
      "chunk extensions without bound",
      "trailers without bound: 400",
    ],
    reason:
      "200: zeros before a chunk's size, extensions and trailers are bounded by Envoy's own limits, which are wider",
    instead: { statuses: [200] },
  },
  {
    engine: "envoy",
    file: "behaviour",
    group: "lenient parsing",
    tests: ["trailers without bound, and without an end"],
    reason: "no answer while they come: the bound is wider than what is sent",
    instead: { statuses: [] },
  },
  {
    engine: "envoy",
    file: "behaviour",
    group: "lenient parsing",
    tests: ["a Connection that nominates Authorization", "a Connection that nominates Content-Length"],
    reason: "200: the field is removed, as RFC 9110 §7.6.1 has it for fields that a Connection names",
    instead: {
      statuses: [200],

      seen: ({ headers }) => assert.equal(headers.authorization, undefined),
    },
  },
  {
    engine: "envoy",
    file: "behaviour",
    group: "paths and targets",
    tests: ["a path that climbs above the root", "an escaped path that climbs above the root"],
    reason: "200: the path stays at the root, as RFC 3986 §5.2.4 has it",
    instead: {
      statuses: [200],

      seen: ({ path }) => assert.doesNotMatch(path, /\.\./),
    },
  },
  {
    engine: "envoy",
    file: "behaviour",
    group: "paths and targets",
    tests: ["an absolute-form with another Host"],
    reason: "200: the target's authority takes the place of Host, as RFC 9112 §3.2.2 has it",
    instead: {
      statuses: [200],

      seen: ({ headers }) => assert.equal(headers.host, "other"),
    },
  },
  {
    engine: "envoy",
    file: "behaviour",
    group: "paths and targets",
    tests: ["an absolute-form without a path means the root"],
    reason: "404 where a query follows the authority at once: the path is taken to be empty",
    instead: { statuses: [404], seen: null },
  },
  {
    engine: "envoy",
    file: "behaviour",
    group: "refused, and left open",
    tests: ["a percent sign without its digits", "two Hosts: 400", "a Host with a user", "an empty Host"],
    reason: "400 without `Connection: close`",
    instead: { statuses: [400], seen: null, failure: "bad_request" },
  },
  {
    engine: "envoy",
    file: "behaviour",
    group: "upgrades",
    tests: ["an upgrade with a body is not passed on", "an upgrade with a chunked body is not passed on"],
    reason: "403: the request is refused, rather than passed on without the upgrade",
    instead: { statuses: [403], seen: null },
  },
  {
    engine: "envoy",
    file: "streams",
    group: "lenient parsing",
    tests: ["a folded line: 502", "a bare LF behind its status line: 502"],
    reason: "responses are read as leniently as requests",
  },
  {
    engine: "envoy",
    file: "streams",
    group: "headers of its own",
    tests: ["103 goes on"],
    reason: "103 is not passed on, and every 100 of the upstream is",
  },
  {
    engine: "envoy",
    file: "streams",
    group: "reasons of failures",
    tests: ["a response cut short is never completed"],
    reason: "cut for the client as well; the reason is upstream_invalid_response",
  },
  {
    engine: "envoy",
    file: "streams",
    group: "connections and retries",
    tests: ["a pooled connection that closes as we write"],
    reason: "503 without a retry_policy: a connection that ends as it is used is not replaced",
  },
  {
    engine: "envoy",
    file: "streams",
    group: "open",
    tests: ["a head without bound: 502", "101 unasked: 502", "a bad chunk: 502", "beyond the bounds"],
    reason: "the answer is another, or comes later",
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "connections and retries",
    tests: [
      "a pooled connection ends as",
      "a pooled connection that ends within the answer",
      "when all pooled connections are stale",
    ],
    reason: "503 without a retry_policy: a connection that ends as it is used is not replaced",
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "connections and retries",
    tests: ["a Keep-Alive that is over"],
    reason: "an upstream's `Keep-Alive: timeout` is not read",
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "lenient parsing",
    tests: ["204, with a length", "a body behind 204"],
    reason: "what an upstream sends with a 204 decides otherwise whether its connection is kept",
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "open",
    tests: [
      "behind a request that could not be read",
      "what is hop-by-hop in a response",
      "a response that ends with its connection",
      "a refusal reaches a client",
    ],
    reason: "the answer is another, or comes later",
  },
  {
    engine: "envoy",
    file: "retries",
    group: "connections and retries",
    tests: ["a body of more than 64 KiB is said once"],
    reason: "Envoy keeps up to 1 MiB of a body for another try",
  },
  {
    engine: "envoy",
    file: "retries",
    group: "open",
    tests: ["another address is preferred"],
    reason: "credence_upstream_retries_total is the node engine's own metric",
  },
  {
    engine: "envoy",
    file: "mirrors",
    group: "headers of its own",
    tests: ["a copy has the same head and body"],
    reason: "a copy has x-envoy-internal, and one address more in X-Forwarded-For",
  },
  {
    engine: "envoy",
    file: "mirrors",
    group: "connections and retries",
    tests: ["a body of more than 64 KiB is not copied"],
    reason: "bodies are copied as they come, whatever their length",
  },
  {
    engine: "envoy",
    file: "mirrors",
    group: "open",
    tests: ["or not at all", "what the AuthService refuses is not copied"],
    reason: "credence_mirror metrics are the node engine's own, and copies are made otherwise",
  },
  {
    engine: "envoy",
    file: "auth",
    group: "reasons of failures",
    tests: ["5xx, nobody there, nonsense and silence", "asks over mutual TLS"],
    reason: "refused alike; the cause is ext_authz_error, without why the service could not be asked",
  },
  {
    engine: "envoy",
    file: "auth-body",
    group: "open",
    tests: ["a body that stalls while it is collected"],
    reason: "there is no time limit between two pieces of a body but the stream's idle time",
  },
  {
    engine: "envoy",
    file: "error-responses",
    group: "open",
    tests: ["HEAD gets the head alone", "an upstream that stalls or dies in a body"],
    reason: "a stalled body that is replaced comes to 504",
  },
  {
    engine: "envoy",
    file: "proxy-protocol",
    group: "reasons of failures",
    tests: ["a connection without a valid header"],
    reason: "closed alike; credence_proxy_protocol_refused_total is the node engine's own metric",
  },
  {
    engine: "envoy",
    file: "upstream-limits",
    group: "reasons of failures",
    tests: ["silence before the response is 504"],
    reason: "504 alike; the cause is stream_idle_timeout",
  },
  {
    engine: "envoy",
    file: "tcp",
    group: "reasons of failures",
    tests: ["what is cut is reset on the other side"],
    reason:
      "reset alike; Envoy's log has no flag for a connection that its client cut, so nothing is told of it",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "tcp",
    group: "how TCP connections end",
    tests: ["what a server said before it ended"],
    reason:
      "a reset that comes after a service's end is passed on at once, and takes back what the client has not read: it sees a reset, not a short answer",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "tcp",
    group: "how TCP connections end",
    tests: ["idle_timeout_ms ends a connection"],
    reason:
      "ended in order (FIN) rather than reset, on both sides; credence_tcp metrics are the node engine's own",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "tcp",
    group: "how TCP connections end",
    tests: ["draining waits for connections"],
    reason: "what is left at the deadline is ended in order (FIN) rather than reset",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "tcp-tls",
    group: "handshakes",
    tests: ["may be one byte, and ended with it"],
    reason:
      "reset: Envoy's TLS inspector waits for five bytes, and takes a client that ends its side before it has looked at them for gone",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "tcp-tls",
    group: "how TCP connections end",
    tests: ["after a rotation new connections"],
    reason:
      "the new certificate is used a moment later; an old connection has ten minutes (Envoy's drain time) to end, and is then ended in order",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "tcp-tls",
    group: "handshakes",
    tests: ["a client may offer any protocol"],
    reason:
      "a client whose protocols (ALPN) are all others is served without one, where the node engine refuses the handshake",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "balancing",
    group: "connections and retries",
    tests: ["by cookie with a ttl"],
    reason:
      "a new cookie's value is made of the connection's addresses: clients behind one connection get the same one",
  },
  {
    engine: "envoy",
    file: "reload",
    group: "ports that are taken",
    tests: ["the previous revision goes on to the last request"],
    reason:
      "it costs its listener alone, of HTTP too, where the node engine keeps the previous revision whole",
  },
];
