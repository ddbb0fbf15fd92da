import fc from "../support/fast-check.ts";
import { mappingYaml, moduleYaml, tlsContextYaml } from "../support/certificates.ts";

/** Ports of the upstreams that a world's Mappings lead to. */
export interface WorldPeers {
  readonly first: number;
  readonly second: number;
  /** Mutual TLS. */
  readonly mtls: number;
}

type Spec = Readonly<Record<string, unknown>>;

/** A small set of resources. Secrets are not of it: they stay while worlds come and go. */
export interface World {
  readonly module: Spec;
  readonly mappings: readonly Spec[];
  readonly hosts: readonly Spec[];
  /** TLSContexts that serve names. */
  readonly contexts: readonly Spec[];
}

export function worldYaml({ module, mappings, hosts, contexts }: World, peers: WorldPeers): string {
  return [
    moduleYaml(module),
    ...Object.entries(UPSTREAM_CONTEXTS).map(([name, spec]) => tlsContextYaml(name, spec)),
    ...contexts.map((spec, index) => tlsContextYaml(`serve${index}`, spec)),
    ...hosts.map((spec, index) =>
      mappingYaml(`h${index}`, spec).replace('"kind":"Mapping"', '"kind":"Host"'),
    ),
    ...mappings.map((spec, index) =>
      mappingYaml(`m${index}`, { ...PATIENCE, ...spec, service: serviceOf(spec.service, peers) }),
    ),
  ].join("");
}

/** Whoever has the machine for the three seconds of the defaults is no difference between the engines. */
const PATIENCE = { timeout_ms: 60_000, connect_timeout_ms: 60_000 };

function serviceOf(service: unknown, peers: WorldPeers): string {
  return typeof service === "string" && service in peers
    ? `localhost:${peers[service as keyof WorldPeers]}`
    : String(service);
}

/** Certificates A and B; one of a CA that the upstream does not know; and what cannot verify the upstream, or does not exist. */
const UPSTREAM_CONTEXTS: Readonly<Record<string, Spec>> = {
  a: { secret: "client", ca_secret: "ca" },
  b: { secret: "other", ca_secret: "ca", sni: "localhost" },
  stranger: { secret: "stranger", ca_secret: "ca" },
  untrusting: { secret: "client", ca_secret: "strangers" },
  misnamed: { secret: "client", ca_secret: "ca", sni: "elsewhere.example" },
  gone: { secret: "gone" },
};

/** Undefined most of the time: the less a world has, the more requests get through to what it has. */
const sometimes = <T>(arbitrary: fc.Arbitrary<T>, weight = 1): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight, arbitrary });
const seldom = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 14, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const among = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values);
const spec = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Spec> =>
  fc.record(fields).map(defined);

function defined(record: Spec): Spec {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

const upstream: fc.Arbitrary<Spec> = fc.oneof(
  { weight: 5, arbitrary: among<Spec>({ service: "first" }, { service: "second" }) },
  { weight: 3, arbitrary: among<Spec>({ service: "mtls", tls: "a" }, { service: "mtls", tls: "b" }) },
  {
    weight: 2,
    arbitrary: among<Spec>(
      ...["stranger", "untrusting", "misnamed", "gone", "unwritten"].map((tls) => ({
        service: "mtls",
        tls,
      })),
      // TLS to who does not speak it, and no TLS to who does.
      { service: "first", tls: "a" },
      { service: "mtls" },
    ),
  },
);

const redirect = spec({
  service: among("other.example", "https://other.example:8443", "http://other.example"),
  host_redirect: fc.constant(true),
  redirect_response_code: sometimes(among(302, 303, 307, 308), 2),
}).chain((base) =>
  among<Spec>(
    {},
    {},
    { path_redirect: "/moved/" },
    { path_redirect: "/moved?its=own" },
    { prefix_redirect: "/moved" },
    { prefix_redirect: "/moved/" },
    { regex_redirect: { pattern: "/a/(.*)", substitution: "/moved/\\1" } },
  ).map((path) => ({ ...base, ...path })),
);

const match: fc.Arbitrary<Spec> = fc
  .tuple(
    fc.oneof(
      {
        weight: 6,
        arbitrary: among("/", "/", "/", "/a", "/a/", "/a/b", "/A/b/", "/b/", "/a/b/c/", "/a%20b").map(
          (prefix) => ({
            prefix,
          }),
        ),
      },
      {
        weight: 1,
        arbitrary: among("/a", "/b/x", "/a/").map((prefix) => ({ prefix, prefix_exact: true })),
      },
      {
        weight: 1,
        arbitrary: among("/[ab]/.*", "/a/(b|c)", "/A/.*", ".*x").map((prefix) => ({
          prefix,
          prefix_regex: true,
        })),
      },
    ),
    fc.oneof(
      { weight: 12, arbitrary: fc.constant<Spec>({}) },
      {
        weight: 4,
        arbitrary: among("a.example", "a.example", "b.example", "a.example:80", "x.wild.example", "*").map(
          (host): Spec => ({ host }),
        ),
      },
      {
        weight: 2,
        arbitrary: among(".*\\.example", "a\\..*", "[ab]\\.example", "a\\.example:80").map(
          (host): Spec => ({ host, host_regex: true }),
        ),
      },
    ),
    spec({
      method: seldom(among("GET", "POST")),
      headers: seldom(among<Spec>({ "x-kind": "one" }, { "x-kind": true }, { "X-Other": "" })),
      regex_headers: seldom(among<Spec>({ "x-kind": "t.*" }, { "x-kind": "o" })),
      query_parameters: seldom(among<Spec>({ q: "1" }, { q: true }, { q: "" })),
      regex_query_parameters: seldom(fc.constant({ q: "[12]" })),
    }),
  )
  .map(([path, host, rest]) => ({ ...path, ...host, ...rest }));

const cors = among<Spec>(
  { origins: ["http://shop.example"], methods: "GET, POST", credentials: true },
  { origins: "*", headers: "x-kind", exposed_headers: "x-answer", max_age: "60" },
);

const overrides = spec({
  on_status_code: among(403, 404, 503),
  body: among<Spec>(
    { text_format: "replaced %RESPONSE_CODE%" },
    { content_type: "text/html", text_format: "<p>%REQ(:method)%</p>" },
    { json_format: { code: "%RESPONSE_CODE%", n: 1, who: "%REQ(x-kind)%" } },
  ),
}).map((one) => [one]);

const addition = (name: string): fc.Arbitrary<Spec> =>
  among<Spec>(
    { [name]: "added" },
    { [name]: { value: "set", append: false } },
    { "x-added": "%PROTOCOL%", [name]: "added" },
  );

/** What is fine with a redirect too. */
const changes = spec({
  case_sensitive: sometimes(fc.constant(false)),
  precedence: sometimes(among(1, 5)),
  add_request_headers: sometimes(addition("x-kind")),
  remove_request_headers: sometimes(among<unknown>(["x-kind"], "x-other")),
  add_response_headers: sometimes(addition("x-answer")),
  remove_response_headers: sometimes(among<unknown>(["x-upstream"], ["x-answer"])),
  cors: sometimes(cors),
  error_response_overrides: sometimes(overrides),
  bypass_error_response_overrides: sometimes(fc.constant(true)),
});

const rewrites: fc.Arbitrary<Spec> = fc
  .tuple(
    fc.oneof(
      { weight: 2, arbitrary: fc.constant<Spec>({}) },
      { weight: 3, arbitrary: among("", "/r", "/r/", "/").map((rewrite): Spec => ({ rewrite })) },
      {
        weight: 1,
        arbitrary: among<Spec>(
          { regex_rewrite: { pattern: "/a/(.*)", substitution: "/x/\\1" } },
          { regex_rewrite: { pattern: "b", substitution: "" } },
        ),
      },
    ),
    sometimes(among<Spec>({ host_rewrite: "up.example" }, { auto_host_rewrite: true })),
  )
  .map(([path, host]) => ({ ...path, ...host }));

/** One Mapping, or two of one match of which the first takes everything. */
const mappings: fc.Arbitrary<readonly Spec[]> = fc
  .tuple(match, changes, fc.oneof({ weight: 6, arbitrary: upstream }, { weight: 1, arbitrary: redirect }))
  .chain(
    ([matched, changed, goes]): fc.Arbitrary<readonly Spec[]> =>
      "host_redirect" in goes
        ? fc.constant([{ ...matched, ...changed, ...goes }])
        : fc.tuple(rewrites, sometimes(upstream)).map(([rewritten, canary]) =>
            canary === undefined
              ? [{ ...matched, ...changed, ...rewritten, ...goes }]
              : [
                  { ...matched, ...changed, ...rewritten, ...goes, weight: 100 },
                  { ...matched, ...changed, ...rewritten, ...canary, weight: 0 },
                ],
          ),
  );

/** What makes two Mappings share their requests: who gets one would be a matter of chance. */
const SHARING = [
  "prefix",
  "host",
  "method",
  "headers",
  "regex_headers",
  "query_parameters",
  "regex_query_parameters",
];
const share = ([first]: readonly Spec[]): string => JSON.stringify(SHARING.map((field) => first?.[field]));

const clientCheck = among<Spec>(
  {},
  {},
  { ca_secret: "ca" },
  { ca_secret: "ca", cert_required: true },
  { ca_secret: "gone" },
);
const secret = fc.oneof(
  { weight: 6, arbitrary: fc.constant("server") },
  { weight: 1, arbitrary: fc.constant("gone") },
);

const contexts: fc.Arbitrary<readonly Spec[]> = fc.uniqueArray(
  fc
    .tuple(
      among("a.example", "a.example", "b.example", "*.wild.example", "*"),
      secret,
      clientCheck,
      sometimes(fc.constant({ redirect_cleartext_from: 8080 }), 2),
    )
    .map(([host, secret, check, redirected]): Spec => ({ hosts: [host], secret, ...check, ...redirected })),
  { maxLength: 2, selector: ({ hosts }) => String(hosts) },
);

const hosts: fc.Arbitrary<readonly Spec[]> = fc.uniqueArray(
  fc
    .tuple(
      among("a.example", "a.example", "b.example", "*.wild.example", "*"),
      among("Redirect", "Route", "Route", "Reject", undefined),
      fc.oneof(
        {
          weight: 4,
          arbitrary: fc.tuple(secret, clientCheck).map(([name, tls]): Spec => ({ tlsSecret: { name }, tls })),
        },
        { weight: 1, arbitrary: fc.constant<Spec>({}) },
      ),
    )
    .map(([hostname, action, tls]) =>
      defined({
        hostname,
        ...tls,
        ...(action === undefined ? {} : { requestPolicy: { insecure: { action } } }),
      }),
    ),
  { maxLength: 3, selector: ({ hostname }) => String(hostname) },
);

const module = spec({
  merge_slashes: sometimes(fc.constant(true)),
  reject_requests_with_escaped_slashes: sometimes(fc.constant(true)),
  server_name: sometimes(fc.constant("edge")),
  use_remote_address: sometimes(fc.constant(false)),
  xff_num_trusted_hops: sometimes(fc.constant(1)),
  preserve_external_request_id: sometimes(fc.constant(true)),
  strip_matching_host_port: sometimes(fc.constant(true)),
  headers_with_underscores_action: sometimes(among("REJECT_REQUEST", "DROP_HEADER")),
  x_forwarded_proto_redirect: seldom(fc.constant(true)),
  error_response_overrides: sometimes(overrides),
  cors: sometimes(cors),
  defaults: sometimes(
    among<Spec>(
      { httpmapping: { add_response_headers: { "x-answer": "module" } } },
      { add_request_headers: { "x-kind": "module" }, remove_response_headers: ["x-upstream"] },
    ),
  ),
  ip_deny: sometimes(among<unknown>([{ remote: "10.0.0.2" }], [{ peer: "10.0.0.0/8" }])),
  buffer: sometimes(fc.constant({ max_request_bytes: 10 })),
  upstream_verification: sometimes(fc.constant("required")),
  forward_client_cert_details: sometimes(among("FORWARD_ONLY", "SANITIZE_SET", "APPEND_FORWARD")),
  set_current_client_cert_details: sometimes(fc.constant({ subject: true, dns: true })),
});

const nothing = fc.constant<readonly Spec[]>([]);

export const worlds: fc.Arbitrary<World> = fc.record({
  module,
  mappings: fc
    .uniqueArray(mappings, { minLength: 1, maxLength: 6, selector: share })
    .map((groups) => groups.flat()),
  hosts: fc.oneof({ weight: 4, arbitrary: nothing }, { weight: 2, arbitrary: hosts }),
  contexts: fc.oneof({ weight: 4, arbitrary: nothing }, { weight: 2, arbitrary: contexts }),
});
