import fc from "fast-check";
import { mappingYaml, moduleYaml, tlsContextYaml } from "../support/certificates.ts";

/** Ports of the upstreams that a world's Mappings lead to. */
export interface WorldPeers {
  readonly first: number;
  readonly second: number;
  /** Mutual TLS. */
  readonly mtls: number;
}

export interface World {
  readonly module: Readonly<Record<string, unknown>>;
  readonly mappings: readonly Readonly<Record<string, unknown>>[];
  /** a.example is served over TLS, with clients checked so. */
  readonly termination: "none" | "plain" | "optional" | "required";
}

export interface Probe {
  readonly via: "http" | "https";
  readonly serverName: string;
  readonly certificate: boolean;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly lines: readonly string[];
}

export function worldYaml({ module, mappings, termination }: World, peers: WorldPeers): string {
  const context = {
    hosts: ["a.example"],
    secret: "server",
    ...(termination === "optional" || termination === "required" ? { ca_secret: "ca" } : {}),
    ...(termination === "required" ? { cert_required: true } : {}),
  };
  return [
    moduleYaml(module),
    tlsContextYaml("up", { secret: "client", ca_secret: "ca", sni: "localhost" }),
    tlsContextYaml("stranger", { secret: "stranger", ca_secret: "ca", sni: "localhost" }),
    tlsContextYaml("gone", { secret: "gone" }),
    ...(termination === "none" ? [] : [tlsContextYaml("server", context)]),
    ...mappings.map((spec, index) =>
      mappingYaml(`m${index}`, { ...spec, service: serviceOf(spec.service, peers) }),
    ),
  ].join("");
}

function serviceOf(service: unknown, peers: WorldPeers): string {
  return typeof service === "string" && service in peers
    ? `127.0.0.1:${peers[service as keyof WorldPeers]}`
    : String(service);
}

const sometimes = <T>(arbitrary: fc.Arbitrary<T>, weight = 1) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight, arbitrary });

const destination = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom({ service: "first" }, { service: "second" }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom({ service: "mtls", tls: "up" }, { service: "mtls", tls: "stranger" }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ service: "mtls", tls: "gone" }, { service: "first", tls: "up" }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      service: fc.constantFrom("other.example", "https://other.example:8443"),
      host_redirect: fc.constant(true),
      path_redirect: sometimes(fc.constant("/moved/")),
      redirect_response_code: sometimes(fc.constantFrom(302, 307, 308)),
    }),
  },
);

const match = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .constantFrom("/", "/a", "/a/", "/a/b", "/A/b/", "/b/", "/a/b/c/")
      .map((prefix) => ({ prefix })),
  },
  { weight: 1, arbitrary: fc.constantFrom("/a", "/b/x").map((prefix) => ({ prefix, prefix_exact: true })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("/[ab]/.*", "/a/(b|c)").map((prefix) => ({ prefix, prefix_regex: true })),
  },
);

const changes = fc.record({
  host: sometimes(fc.constantFrom("a.example", "b.example")),
  method: sometimes(fc.constantFrom("GET", "POST")),
  case_sensitive: sometimes(fc.constant(false)),
  headers: sometimes(fc.constantFrom<Record<string, unknown>>({ "x-kind": "one" }, { "x-kind": true })),
  regex_headers: sometimes(fc.constant({ "x-kind": "t.*" })),
  query_parameters: sometimes(fc.constantFrom<Record<string, unknown>>({ q: "1" }, { q: true })),
  precedence: sometimes(fc.constantFrom(1, 5)),
  rewrite: sometimes(fc.constantFrom("", "/r", "/r/"), 4),
  regex_rewrite: sometimes(fc.constant({ pattern: "/a/(.*)", substitution: "/x/\\1" })),
  host_rewrite: sometimes(fc.constant("up.example")),
  add_request_headers: sometimes(
    fc.constantFrom<Record<string, unknown>>(
      { "x-added": "1" },
      { "x-kind": { value: "set", append: false } },
    ),
  ),
  remove_request_headers: sometimes(fc.constant(["x-kind"])),
  add_response_headers: sometimes(fc.constant({ "x-answer": "yes" })),
  remove_response_headers: sometimes(fc.constant(["x-upstream"])),
  cors: sometimes(fc.constant({ origins: ["http://shop.example"], methods: "GET, POST", credentials: true })),
});

/** What cannot stand together is left for the compiler's own tests. */
function mappingOf(matched: object, goes: object, changed: Record<string, unknown>): Record<string, unknown> {
  const { regex_rewrite, rewrite, host_rewrite, ...rest } = changed;
  const rewrites =
    "host_redirect" in goes
      ? {}
      : { host_rewrite, ...(regex_rewrite === undefined ? { rewrite } : { regex_rewrite }) };
  return defined({ ...matched, ...goes, ...rest, ...rewrites });
}

function defined(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

export const worlds: fc.Arbitrary<World> = fc.record({
  module: fc
    .record({
      merge_slashes: sometimes(fc.constant(true)),
      reject_requests_with_escaped_slashes: sometimes(fc.constant(true)),
      server_name: sometimes(fc.constant("edge")),
      use_remote_address: sometimes(fc.constant(false)),
      xff_num_trusted_hops: sometimes(fc.constant(1)),
      preserve_external_request_id: sometimes(fc.constant(true)),
      strip_matching_host_port: sometimes(fc.constant(true)),
      headers_with_underscores_action: sometimes(fc.constantFrom("REJECT_REQUEST", "DROP_HEADER")),
    })
    .map(defined),
  mappings: fc.array(
    fc
      .tuple(match, destination, changes)
      .map(([matched, goes, changed]) => mappingOf(matched, goes, changed)),
    { minLength: 1, maxLength: 6 },
  ),
  termination: fc.constantFrom("none", "none", "plain", "optional", "required"),
});

export const probes: fc.Arbitrary<Probe> = fc.record({
  via: fc.constantFrom("http", "http", "https"),
  serverName: fc.constantFrom("a.example", "a.example", "b.example"),
  certificate: fc.boolean(),
  method: fc.constantFrom("GET", "GET", "POST", "OPTIONS", "HEAD"),
  path: fc.constantFrom(
    ...[
      "/",
      "/a",
      "/a/",
      "/a/b",
      "/a/b/c",
      "/A/B",
      "/a/b?q=1",
      "/a/b?q=2&q=1",
      "/b/x",
      "/b/x?q",
      "/a/../b/x",
    ],
    ...[
      "/a//b",
      "//a/b",
      "/a/%2e%2e/b/",
      "/a%2fb",
      "/a/b%20c",
      "/ab",
      "/a/./b",
      "/a/b/c/?x=%2f",
      "/b/\u00e9",
    ],
  ),
  host: fc.constantFrom("a.example", "b.example", "A.Example", "a.example:80", "other"),
  lines: fc.subarray([
    "x-kind: one",
    "x-kind: two",
    "x_under: 1",
    "origin: http://shop.example",
    "access-control-request-method: GET",
    "x-forwarded-for: 10.0.0.1, 10.0.0.2",
    "x-forwarded-proto: https",
    "x-request-id: mine",
    "x-envoy-original-path: /evil",
    "x-forwarded-client-cert: By=me",
  ]),
});
