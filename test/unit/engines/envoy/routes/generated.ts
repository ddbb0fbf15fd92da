import fc from "../../../../support/fast-check.ts";
import type { GatewayModel } from "../../../../../src/model/gateway.ts";
import type { HttpSettings } from "../../../../../src/model/http.ts";
import type { Listener, VirtualHost } from "../../../../../src/model/listener.ts";
import type {
  Destination,
  FieldMatch,
  PathMatch,
  PathRewrite,
  Route,
  RouteMatch,
} from "../../../../../src/model/route.ts";
import type { ClientAuth, ServerTls } from "../../../../../src/model/tls.ts";

/** A request as a client sends it. */
export interface GeneratedRequest {
  readonly method: string;
  readonly target: string;
  readonly host: string;
  /** Beside Host. */
  readonly headers: readonly (readonly [string, string])[];
}

const CLIENTS: readonly ClientAuth[] = [
  { mode: "none" },
  { mode: "optional", trust: "secret/d/one" },
  { mode: "required", trust: "secret/d/one" },
  { mode: "required", trust: "secret/d/two" },
];

const tls: fc.Arbitrary<ServerTls> = fc.oneof(
  fc.constant<ServerTls>({ mode: "cleartext" }),
  fc.constantFrom(...CLIENTS).map(
    (clients): ServerTls => ({
      mode: "terminate",
      credential: "secret/d/edge",
      clients,
      parameters: { minVersion: "v1.2", maxVersion: "v1.3", cipherSuites: [], groups: [], alpn: [] },
    }),
  ),
  fc.constant<ServerTls>({ mode: "refuse", code: "x" }),
);

const virtualHosts: fc.Arbitrary<VirtualHost[]> = fc.uniqueArray(
  fc.record(
    {
      domain: fc.constantFrom("*", "a.example", "b.example", "*.example", "*.a.example", "a"),
      origin: fc.constantFrom("gateway", "host/d/x"),
      tls,
      cleartext: fc.constantFrom("route", "redirect", "reject"),
      cleartextListeners: fc.constantFrom(["http"], ["additional-1"], ["additional-1", "http"]),
    },
    { requiredKeys: ["domain", "origin", "tls", "cleartext"] },
  ),
  { selector: ({ domain }) => domain, maxLength: 5 },
);

const ignoreCase = fc.option(fc.constant(true as const), { nil: undefined, freq: 4 });
const path: fc.Arbitrary<PathMatch> = fc
  .oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constantFrom("prefix" as const, "prefix" as const, "exact" as const),
        value: fc.constantFrom(
          "/",
          "/a",
          "/a/",
          "/a/b",
          "/a/b/",
          "/a/b/c",
          "/ab",
          "/A",
          "/b",
          "/a?x",
          "/B/",
          "",
        ),
        ignoreCase,
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("regex" as const),
        value: fc.constantFrom("/a.*", "/(a|b)/?c?", "/[ab]+", "/a|/b", ".*b"),
        ignoreCase,
      }),
    },
  )
  .map(
    ({ ignoreCase: folds, ...rest }) => (folds === true ? { ...rest, ignoreCase: folds } : rest) as PathMatch,
  );

const field = (names: readonly string[]): fc.Arbitrary<FieldMatch> =>
  fc
    .tuple(
      fc.constantFrom(...names),
      fc.constantFrom(
        { kind: "exact" as const, value: "1" },
        { kind: "exact" as const, value: "1,2" },
        { kind: "exact" as const, value: "" },
        { kind: "regex" as const, value: "[12]" },
        { kind: "present" as const },
      ),
    )
    .map(([name, wanted]) => ({ name, ...wanted }));

const authority: fc.Arbitrary<FieldMatch> = fc
  .tuple(
    fc.constantFrom(":authority", "host"),
    fc.constantFrom(
      { kind: "exact" as const, value: "a.example" },
      { kind: "exact" as const, value: "A.example" },
      { kind: "exact" as const, value: "a.example:8080" },
      { kind: "regex" as const, value: "[ab]\\.example" },
      { kind: "present" as const },
    ),
  )
  .map(([name, wanted]) => ({ name, ...wanted }));

const match: fc.Arbitrary<RouteMatch> = fc.record(
  {
    path,
    host: fc.constantFrom(
      "a.example",
      "a.example",
      "b.example",
      "x.a.example",
      "a.example:8080",
      "*.example",
      "[::1]",
      "a",
    ),
    hostPattern: fc.constantFrom("a\\.example", ".*\\.example(?::8080)?", "A.*", "a|b.example"),
    method: fc.constantFrom(
      { kind: "exact" as const, value: "GET" },
      { kind: "regex" as const, value: "P.*|GET" },
      { kind: "exact" as const, value: "get" },
    ),
    headers: fc.array(
      fc.oneof(
        { weight: 3, arbitrary: field(["x-a", "x-b", "x-envoy-x", "l5d-dst-override", ":path"]) },
        authority,
      ),
      { minLength: 1, maxLength: 2 },
    ),
    query: fc.array(field(["q", "r"]), { minLength: 1, maxLength: 2 }),
  },
  { requiredKeys: ["path"] },
);

const rewrite: fc.Arbitrary<PathRewrite> = fc.oneof(
  fc.constantFrom("/", "/", "", "/v1", "/v1/", "v2").map((value) => ({ kind: "prefix" as const, value })),
  fc.constant({ kind: "regex" as const, pattern: "/a(.*)", substitution: "/\\1" }),
);

const action: fc.Arbitrary<Destination["action"]> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.option(rewrite, { nil: undefined }).map((changed) => ({
      kind: "forward" as const,
      cluster: "up",
      timeoutMs: 3000,
      ...(changed === undefined ? {} : { rewrite: changed }),
    })),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "fail" as const, code: "secret-not-found" }) },
  {
    weight: 1,
    arbitrary: fc.option(rewrite, { nil: undefined }).map((changed) => ({
      kind: "redirect" as const,
      host: "elsewhere.example",
      status: 302 as const,
      ...(changed === undefined ? {} : { path: changed }),
    })),
  },
);

/** Names are `mapping/d/ORDER-DESTINATION`. */
const routes: fc.Arbitrary<Route[]> = fc
  .array(
    fc.record({
      // Few of them ask for much, or nothing would ever match.
      match: fc.oneof(
        match,
        path.map((only) => ({ path: only })),
      ),
      actions: fc.array(action, { minLength: 1, maxLength: 2 }),
      weights: fc.tuple(fc.constantFrom(1, 50, 0), fc.constantFrom(1, 50)),
    }),
    { maxLength: 60, size: "max" },
  )
  .map((made) =>
    made.map(({ match: wanted, actions, weights }, order) => ({
      name: `mapping/d/${order}-0`,
      match: wanted,
      destinations: actions.map((each, index) => ({
        name: `mapping/d/${order}-${index}`,
        weight: weights[index] as number,
        action: each,
      })),
    })),
  );

const settings: fc.Arbitrary<HttpSettings> = fc.record({
  useRemoteAddress: fc.boolean(),
  xffTrustedHops: fc.constantFrom(0, 0, 1),
  mergeSlashes: fc.constant(false),
  rejectEscapedSlashes: fc.constant(false),
  preserveRequestId: fc.constant(false),
  stripMatchingHostPort: fc.boolean(),
  serverName: fc.constant("credence"),
});

const LISTENERS: readonly Listener[] = [
  { name: "additional-1", address: "127.0.0.1", port: 8081, transport: "cleartext", action: "serve" },
  { name: "http", address: "127.0.0.1", port: 8080, transport: "cleartext", action: "serve" },
  { name: "https", address: "127.0.0.1", port: 8443, transport: "tls", action: "serve" },
  { name: "redirect-8082", address: "127.0.0.1", port: 8082, transport: "cleartext", action: "redirect" },
];

export const models: fc.Arbitrary<GatewayModel> = fc
  .record({
    http: settings,
    virtualHosts,
    routes,
    isOfOneHost: fc.nat(2).map((draw) => draw === 0),
    httpsPort: fc.constantFrom(443, 8443),
  })
  .map(({ http, virtualHosts: hosts, routes: table, isOfOneHost, httpsPort }) => ({
    http,
    listeners: LISTENERS.map((listener) =>
      listener.name === "https" ? { ...listener, port: httpsPort } : listener,
    ),
    virtualHosts: [...hosts].sort((a, b) => (a.domain < b.domain ? -1 : 1)),
    routes: isOfOneHost
      ? table.map((route) => ({ ...route, match: { ...route.match, host: "a.example" } }))
      : table,
    clusters: [],
  }));

export const requests: fc.Arbitrary<GeneratedRequest> = fc.record({
  method: fc.constantFrom("GET", "GET", "GET", "POST"),
  target: fc
    .tuple(
      fc.constantFrom(
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a/b/c/d",
        "/ab",
        "/A/B",
        "/b/c",
        "/B",
        "/a../x",
        "/a./x",
        "/a..",
        "/z",
      ),
      fc.constantFrom("", "", "?q=1", "?q=2&q=1", "?r", "?r=&q=1", "?x=/a/b"),
    )
    .map((parts) => parts.join("")),
  host: fc
    .tuple(
      fc.constantFrom(
        "a.example",
        "a.example",
        "A.Example",
        "b.example",
        "x.a.example",
        "x.y.a.example",
        "c.example",
        "a",
        "[::1]",
        "other",
      ),
      fc.constantFrom("", "", "."),
      fc.constantFrom("", "", ":8080", ":80"),
    )
    .map(([name, dot, port]) => name + (name.startsWith("[") ? "" : dot) + port),
  headers: fc.array(
    fc.oneof(
      fc.tuple(
        fc.constantFrom("x-a", "x-b", "x-a", "x-envoy-x", "l5d-dst-override"),
        fc.constantFrom("1", "2", ""),
      ),
      fc.tuple(fc.constant("x-forwarded-proto"), fc.constantFrom("https", "HTTPS", "http")),
    ),
    { maxLength: 3 },
  ),
});
