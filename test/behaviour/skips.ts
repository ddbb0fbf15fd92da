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
  "answers of upstreams":
    "What an upstream may say wrong, or leave open, that Envoy takes otherwise; none of it becomes the answer to another request.",
  bounds: "Where Envoy's own bounds stand in place of the node engine's.",
  "connections and retries": "When a connection is used again, and when a request is said again.",
  "how TCP connections end":
    "Of TCPMappings: how the last of a connection is told to the other side, and when it is due.",
  handshakes: "With clients, where TLS is terminated.",
  "ports that are taken":
    "A port of a listener that somebody else on the machine has, when a revision comes.",
  metrics: "Counted by Envoy, under its own names.",
  "reasons of failures": "Refused or failed alike; the words and the place that tell of it are Envoy's.",
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
      "a bare LF where trailers end",
      "a trailer that a bare LF ends",
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
    tests: ["dot segments with parameters, escaped"],
    reason:
      "a segment of escaped dots with parameters is none of dots: it is unescaped, and goes on (`/public/%2e%2e;/` as `/public/..;/`)",
    instead: {
      statuses: [200],
      seen: ({ path }) => assert.equal(path, "/public/..;/admin/x"),
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
    tests: ["an absolute-form of https in cleartext"],
    reason: "403, which is Envoy's answer to it",
    instead: { statuses: [403], seen: null },
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
    tests: [
      "an upgrade of two protocols",
      "an upgrade with a body is not passed on",
      "an upgrade with a chunked body is not passed on",
    ],
    reason: "403: the request is refused, rather than passed on without the upgrade",
    instead: { statuses: [403], seen: null },
  },
  {
    engine: "envoy",
    file: "streams",
    group: "lenient parsing",
    tests: [
      "a folded line: 502",
      "a bare LF behind its status line: 502",
      "bare LFs throughout: 502",
      "chunks in HTTP/1.0: 502",
    ],
    reason: "200: responses are read as leniently as requests",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "streams",
    group: "answers of upstreams",
    tests: ["101 unasked: 502"],
    reason:
      "101 is passed on, without what came behind it; the connection to the upstream carries nothing more",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "streams",
    group: "answers of upstreams",
    tests: ["a bad chunk: 502"],
    reason: "200, cut: the head goes out as soon as it is there",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "streams",
    group: "bounds",
    tests: ["a head without bound: 502"],
    reason: "502 from 80 KiB on, whatever `--max-head-kib` says",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "streams",
    group: "bounds",
    tests: ["beyond the bounds"],
    reason: "how many requests may be under way is each upstream's to bound: its circuit breakers say 503",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "streams",
    group: "headers of its own",
    tests: ["103 goes on"],
    reason: "103 is not passed on, and every 100 of the upstream is",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "streams",
    group: "headers of its own",
    tests: ["interim responses without end"],
    reason: "103 is not passed on, so that none has to wait",
  },
  {
    engine: "envoy",
    file: "streams",
    group: "bounds",
    tests: ["a client that ends its side behind its requests"],
    reason:
      "a client that ends its side of the connection is gone, for Envoy: what it has not answered by then is not answered",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "streams",
    group: "reasons of failures",
    tests: ["a response cut short is never completed"],
    reason: "cut for the client as well; the reason is upstream_invalid_response",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "connections and retries",
    tests: ["a new connection that ends", "a pooled connection that ends within the answer"],
    reason:
      "without a retry_policy Envoy says DELETE, GET, HEAD, OPTIONS and TRACE once more whenever no whole head came back, as it cannot tell a kept connection from a new one",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "connections and retries",
    tests: ["a pooled connection ends as PUT is written"],
    reason: "503: PUT, which comes with a body as a rule, is never said again without a retry_policy",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "connections and retries",
    tests: ["when all pooled connections are stale"],
    reason: "503: the second try may meet another connection that ends as it is used",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "connections and retries",
    tests: ["a Keep-Alive that is over"],
    reason: "an upstream's `Keep-Alive: timeout` is not read",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "answers of upstreams",
    tests: ["204, with a length", "a body behind 204"],
    reason: "502: a length other than 0 makes a 204 invalid (RFC 9110 §8.6)",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "answers of upstreams",
    tests: ["a response that ends with its connection"],
    reason: "completed: an answer without a length ends with its connection, in whatever way that ends",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "headers of its own",
    tests: ["what is hop-by-hop in a response"],
    reason:
      "a field that an upstream's Connection names is passed on, for want of a filter that removes it; Connection itself is not",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "reuse",
    group: "refused, and left open",
    tests: ["behind a request that could not be read", "a refusal reaches a client"],
    reason: "two Hosts are refused with 400, and what follows is read as another request",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "retries",
    group: "connections and retries",
    tests: ["a body of more than 64 KiB is said once"],
    reason: "Envoy keeps up to 1 MiB of a body for another try",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "retries",
    group: "metrics",
    tests: ["another address is preferred"],
    reason:
      "retried alike; credence_upstream_retries_total is the node engine's own, Envoy's is upstream_rq_retry of a cluster",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "mirrors",
    group: "headers of its own",
    tests: ["a copy has the same head and body"],
    reason: "a copy has x-envoy-internal, and one address more in X-Forwarded-For",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "mirrors",
    group: "connections and retries",
    tests: ["a body of more than 64 KiB is not copied"],
    reason: "bodies are copied as they come, whatever their length",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "mirrors",
    group: "metrics",
    tests: ["or not at all"],
    reason:
      "not copied alike; credence_mirrored_requests_total is the node engine's own, Envoy counts copies as requests of the shadow's cluster",
    isRun: true,
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
    group: "bounds",
    tests: ["a body that stalls while it is collected"],
    reason:
      "between two pieces of a body there may be as much time as between any two bytes of a stream, 5 minutes",
  },
  {
    engine: "envoy",
    file: "error-responses",
    group: "connections and retries",
    tests: ["an upstream that stalls or dies in a body"],
    reason:
      "the answer is as whole; the connection ends with what its upstream did not, and that is a failure",
    isRun: true,
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
      "the new certificate is used a moment later; an old connection has the time for draining to end, and is then ended in order",
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
  {
    engine: "envoy",
    file: "tunnel-ends",
    group: "how TCP connections end",
    tests: ["an upgrade: its client is cut"],
    reason: "the upstream's connection is ended in due form, with close_notify, as if the client had ended",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "verify",
    group: "handshakes",
    tests: ["an upstream > as deep as is allowed", "an upstream > too deep", "allow-missing", "allow-stale"],
    reason:
      "closed when it is compiled, and said: Envoy does not heed a maximum depth for upstreams, and knows revocation lists only as crl_policy: require has them",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "verify",
    group: "handshakes",
    tests: [
      "an exact DNS name, asked for",
      "another exact DNS name, asked for",
      "a DNS suffix, asked for",
      "a DNS suffix is not the name itself, asked for",
      "one of several names, asked for",
      "a SPIFFE ID, asked for",
      "another SPIFFE ID, asked for",
      "a trust domain, asked for",
      "another trust domain, asked for",
      "a name or an ID, asked for",
      "a pinned key, asked for",
      "another pinned key, asked for",
      "a pinned key under another name, asked for",
    ],
    reason:
      "closed when it is compiled, and said: where Envoy looks at names or pins it takes no client without a certificate, so `verify` with them needs `cert_required: true`",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "verify",
    group: "reasons of failures",
    tests: ["another SPIFFE ID", "another trust domain"],
    reason: "name_mismatch: Envoy does not say what kind of name it looked for",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "verify",
    group: "reasons of failures",
    tests: ["a client > too deep"],
    reason: "issuer_unknown: BoringSSL goes no further than it may, and says that it found no issuer",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "verify",
    group: "handshakes",
    tests: ["a list that revokes a client ends its sessions"],
    reason: "there are none: where client certificates are checked, Envoy resumes no session",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "handshake-reasons",
    group: "reasons of failures",
    tests: [
      "why the upstream was not reached > self-signed",
      "why the upstream was not reached > issued by no CA",
    ],
    reason: "issuer_unknown: BoringSSL says of such a chain only that it has no trusted issuer",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "handshake-reasons",
    group: "reasons of failures",
    tests: ["no certificate of ours, TLS 1.3"],
    reason: "none: the alert comes after Envoy's side of the handshake is done, and is not told of",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "handshake-reasons",
    group: "reasons of failures",
    tests: ["why the upstream was not reached > silence"],
    reason: "connect_timeout: Envoy's bound is one for the connection and the handshake",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "handshake-reasons",
    group: "reasons of failures",
    tests: ["why a client's handshake came to nothing > other cipher suites"],
    reason: "no_agreement: BoringSSL's word for it may be another's",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "handshake-reasons",
    group: "handshakes",
    tests: ["why a client's handshake came to nothing > other protocols"],
    reason: "served without a protocol (ALPN), where the node engine refuses the handshake",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "handshake-reasons",
    group: "reasons of failures",
    tests: ["why a client's handshake came to nothing > our certificate refused"],
    reason:
      "handshake_failed: BoringSSL cannot read the alert that OpenSSL's clients send in the clear in TLS 1.3",
    isRun: true,
  },
  {
    engine: "envoy",
    file: "handshake-reasons",
    group: "reasons of failures",
    tests: ["TLS where cleartext is spoken"],
    reason: "none: Envoy says that the answer is no HTTP, not what it was",
    isRun: true,
  },
];
