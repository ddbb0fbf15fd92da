import fc from "../support/fast-check.ts";

/** One request, as a client of either engine sends it. */
export interface Probe {
  readonly via: "http" | "https";
  readonly serverName: string;
  /** Which certificate the client shows, if it is asked for one. */
  readonly certificate: "none" | "client" | "other" | "stranger";
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly lines: readonly string[];
  readonly body: "none" | "short" | "long" | "chunked";
}

/** Not among them is what docs/engines.md says that Envoy answers otherwise: paths that climb above the root or are slashes alone, absolute forms, bad framing. */
const PATHS = [
  ...["/", "/a", "/a/", "/a/b", "/a/b/c", "/a/b/c/", "/A/B", "/A/b/", "/ab", "/b/x", "/a/x"],
  ...[
    "/a/b?q=1",
    "/a/b?q=2&q=1",
    "/b/x?q",
    "/b/x?q=",
    "/a?q=%31",
    "/?x=/a/b",
    "/a/b/c/?x=%2f",
    "/a?",
    "/a/b?a=1&Q=1",
  ],
  ...["/a/../b/x", "/a/./b", "/a/b/..", "/a/b/.", "/a/%2e%2e/b/", "/a/.%2E/b/x", "/b/../a/b?q=/../1"],
  ...["/a//b", "//a/b", "/a/b//", "/a//../b/x", "/a/..//b/x"],
  ...[
    "/a%2fb",
    "/a%2Fb/c",
    "/%61/b",
    "/a/b%20c",
    "/a%20b",
    "/a/%252e%252e/b",
    "/a%5cb",
    "/a\\b",
    "/b/\u00e9",
    "/a/%00",
    "/a;x=1/b",
    "/b/..;x=1/a",
    "/a/b#c",
  ],
  "/ambassador/v0/check_alive",
];

const HOSTS = [
  ...[
    "a.example",
    "a.example",
    "a.example",
    "b.example",
    "A.Example",
    "a.example.",
    "a.example:80",
    "a.example:8443",
    "b.example:80",
  ],
  ...["x.wild.example", "x.y.wild.example", "wild.example", "other", "127.0.0.1", "[::1]:80", "a.example:"],
];

export const probes: fc.Arbitrary<Probe> = fc
  .record({
    via: fc.constantFrom("http", "http", "https"),
    serverName: fc.constantFrom("a.example", "a.example", "b.example", "x.wild.example", "other.example"),
    certificate: fc.constantFrom("none", "client", "other", "stranger"),
    method: fc.constantFrom("GET", "GET", "GET", "POST", "OPTIONS", "HEAD", "PUT"),
    path: fc.constantFrom(...PATHS),
    host: fc.constantFrom(...HOSTS),
    lines: fc.subarray(
      [
        "x-kind: one",
        "x-kind: two",
        "X-Other: ",
        "x_under: 1",
        "origin: http://shop.example",
        "access-control-request-method: GET",
        "x-forwarded-for: 10.0.0.1, 10.0.0.2",
        "x-forwarded-proto: https",
        "x-forwarded-host: evil.example",
        "x-request-id: mine",
        "x-envoy-original-path: /evil",
        "x-forwarded-client-cert: By=me",
        // What the upstream is to answer with.
        "x-want: 404",
        "x-want: 503",
        "x-silent: yes",
      ],
      { maxLength: 5 },
    ),
    body: fc.constantFrom("none", "none", "short", "long", "chunked"),
    /** Asks for the host that the handshake was for: most others end with 421. */
    isConsistent: fc.boolean(),
  })
  .map(
    ({ isConsistent, ...probe }): Probe => ({
      ...(probe as Probe),
      ...(isConsistent ? { host: probe.serverName } : {}),
      ...(probe.method === "POST" || probe.method === "PUT" ? {} : { body: "none" }),
    }),
  );

export function requestOf({ method, path, host, lines, body }: Probe, more: readonly string[]): string {
  const [field, text] = BODIES[body];
  const head = [
    `${method} ${path} HTTP/1.1`,
    `host: ${host}`,
    "connection: close",
    ...more,
    ...lines,
    ...field,
  ];
  return `${head.join("\r\n")}\r\n\r\n${text}`;
}

const BODIES: Readonly<Record<Probe["body"], readonly [readonly string[], string]>> = {
  none: [[], ""],
  short: [["content-length: 5"], "hello"],
  long: [["content-length: 20"], "hello hello hello he"],
  chunked: [["transfer-encoding: chunked"], "5\r\nhello\r\n7\r\n world!\r\n0\r\n\r\n"],
};
