import type { Severity } from "../../src/diagnostics/diagnostic.ts";
import type { MigrationCode } from "../../src/migrate/catalogue.ts";

/** Resources that 1.14 took, and what must be said of them. */
export interface MigrationCase {
  readonly code: MigrationCode;
  readonly severity: Severity;
  /** `KEY`, `CERT` and `CA` stand for PEM, indented by four. */
  readonly yaml: string;
  /** The name of the object that it is said of. */
  readonly of: string;
  /** Text of 1.14's part, and of Credence's. */
  readonly before: RegExp;
  readonly now: RegExp;
}

function object(kind: string, name: string, spec: unknown, namespace = "default"): string {
  return `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind, metadata: { name, namespace }, spec })}\n`;
}

const mapping = (name: string, spec: object, namespace?: string): string =>
  object("Mapping", name, { prefix: `/${name}/`, service: "quote", ...spec }, namespace);
const context = (name: string, spec: object, namespace?: string): string =>
  object("TLSContext", name, spec, namespace);
const module = (config: object): string => object("Module", "ambassador", { config });

function secret(
  name: string,
  data: Readonly<Record<string, string>>,
  type = "Opaque",
  namespace = "default",
): string {
  const lines = Object.entries(data).map(([key, pem]) => `  ${key}: |\n    ${pem}\n`);
  return `---\napiVersion: v1\nkind: Secret\nmetadata: { name: ${name}, namespace: ${namespace} }\ntype: ${type}\nstringData:\n${lines.join("")}`;
}

const PAIR = { "tls.crt": "CERT", "tls.key": "KEY" };
const CERTS = secret("certs", PAIR);
const SERVER = context("server", { hosts: ["a.example"], secret: "certs" }) + CERTS;

export const CASES: readonly MigrationCase[] = [
  {
    code: "cleartext-fallback",
    severity: "error",
    yaml: mapping("a", { tls: "up" }) + context("up", { secret: "gone" }),
    of: "a",
    before: /secret gone is missing.*cleartext/,
    now: /503 \(secret-missing\)/,
  },
  {
    code: "cleartext-fallback",
    severity: "error",
    yaml: mapping("a", { tls: "nobody" }),
    of: "a",
    before: /not defined/,
    now: /503 \(tls-context-missing\)/,
  },
  {
    code: "cleartext-fallback",
    severity: "warning",
    yaml: mapping("a", { tls: "up" }) + context("up", { ca_secret: "ca" }) + secret("ca", { "ca.crt": "CA" }),
    of: "a",
    before: /it has a CA and no certificate/,
    now: /TLS is spoken without a client certificate; chain and name quote are verified/,
  },
  {
    code: "cleartext-fallback",
    severity: "error",
    yaml: object("AuthService", "auth", { auth_service: "auth:3000", tls: "nobody" }) + mapping("a", {}),
    of: "auth",
    before: /not defined.*auth:3000 was spoken to in cleartext/,
    now: /closed until/,
  },
  {
    code: "unverified-fallback",
    severity: "warning",
    yaml:
      object("AuthService", "auth", { auth_service: "https://auth", tls: "up" }) +
      context("up", { ca_secret: "ca" }) +
      secret("ca", { "ca.crt": "CA" }) +
      mapping("a", {}),
    of: "auth",
    before: /it has a CA and no certificate.*without verifying/,
    now: /as the context says/,
  },
  {
    code: "unverified-fallback",
    severity: "warning",
    yaml: mapping("a", { service: "https://quote", tls: "up" }) + context("up", { sni: "quote.example" }),
    of: "a",
    before: /no certificate information at all.*without verifying/,
    now: /nothing is verified/,
  },
  {
    code: "upstream-not-verified",
    severity: "warning",
    yaml: mapping("a", { service: "https://quote" }),
    of: "a",
    before: /not verified, silently/,
    now: /with a warning/,
  },
  {
    code: "upstream-name-not-checked",
    severity: "warning",
    yaml:
      mapping("a", { tls: "up" }) +
      context("up", { secret: "certs", ca_secret: "ca" }) +
      CERTS +
      secret("ca", { "tls.crt": "CA" }),
    of: "a",
    before: /any certificate of that CA passed/,
    now: /also be for quote/,
  },
  {
    code: "ca-crt-ignored",
    severity: "warning",
    yaml:
      mapping("a", { tls: "up" }) +
      context("up", { secret: "certs" }) +
      secret("certs", { ...PAIR, "ca.crt": "CA" }),
    of: "a",
    before: /was ignored/,
    now: /chain to that CA and be for quote/,
  },
  {
    code: "shared-cluster",
    severity: "warning",
    yaml:
      mapping("a", { service: "https://quote", tls: "one" }) +
      mapping("b", { service: "https://quote", tls: "two" }) +
      context("one", { secret: "certs" }) +
      context("two", { secret: "certs" }) +
      CERTS,
    of: "b",
    before: /shared a cluster with Mapping a.*TLSContext one/,
    now: /TLSContext two/,
  },
  {
    code: "context-by-bare-name",
    severity: "warning",
    yaml:
      mapping("a", { tls: "up" }) +
      context("up", { secret: "certs" }, "other") +
      secret("certs", PAIR, "Opaque", "other"),
    of: "a",
    before: /found in namespace other/,
    now: /as long as no other namespace/,
  },
  {
    code: "context-another",
    severity: "warning",
    yaml:
      mapping("a", { tls: "up" }) +
      context("up", { secret: "certs" }) +
      context("up", { secret: "certs" }, "another") +
      CERTS +
      secret("certs", PAIR, "Opaque", "another"),
    of: "a",
    before: /found as another\/up/,
    now: /default\/up/,
  },
  {
    code: "context-refused",
    severity: "info",
    yaml: mapping("a", { tls: "up" }) + context("up", { min_tls_version: "v1.2" }),
    of: "up",
    before: /no certificate information/,
    now: /accepted/,
  },
  {
    code: "secret-not-delivered",
    severity: "info",
    yaml:
      mapping("a", { tls: "up" }) +
      context("up", { secret: "certs.other" }) +
      secret("certs", PAIR, "Opaque", "other") +
      module({ use_remote_address: true }),
    of: "up",
    before: /split certs\.other at its dot/,
    now: /everywhere/,
  },
  {
    code: "server-name-not-sent",
    severity: "info",
    yaml: mapping("a", { service: "https://quote" }),
    of: "a",
    before: /No server name/,
    now: /is sent/,
  },
  {
    code: "upstream-tls-12",
    severity: "info",
    yaml: mapping("a", { tls: "up" }) + context("up", { secret: "certs", min_tls_version: "v1.3" }) + CERTS,
    of: "up",
    before: /1\.2 at most/,
    now: /TLS 1\.3/,
  },
  {
    code: "tls-false-ignored",
    severity: "warning",
    yaml: mapping("a", { service: "https://quote", tls: false }),
    of: "a",
    before: /TLS was spoken/,
    now: /same/,
  },
  {
    code: "tls-over-http-scheme",
    severity: "info",
    yaml: mapping("a", { service: "http://quote", tls: "up" }) + context("up", { secret: "certs" }) + CERTS,
    of: "a",
    before: /although the service says http/,
    now: /TLS is spoken/,
  },
  {
    code: "route-stops",
    severity: "error",
    yaml: mapping("a", { grpc: true }),
    of: "a",
    before: /engine-cannot/,
    now: /503 \(engine-cannot\)/,
  },
  {
    code: "termination-dropped",
    severity: "error",
    yaml: context("server", { hosts: ["a.example"], secret: "gone" }),
    of: "server",
    before: /secret gone is missing.*in cleartext on port 8080/,
    now: /refused/,
  },
  {
    code: "client-check-dropped",
    severity: "error",
    yaml:
      SERVER +
      context("mtls", { hosts: ["b.example"], secret: "certs", ca_secret: "gone", cert_required: true }),
    of: "mtls",
    before: /CA secret gone is missing.*another context.*without a client's certificate/,
    now: /refused/,
  },
  {
    code: "client-certificate-unchecked",
    severity: "error",
    yaml: context("server", { hosts: ["a.example"], secret: "certs", cert_required: true }) + CERTS,
    of: "server",
    before: /none was checked/,
    now: /refused/,
  },
  {
    code: "client-certificate-bypass",
    severity: "info",
    yaml:
      SERVER +
      context("mtls", { hosts: ["b.example"], secret: "certs", ca_secret: "ca", cert_required: true }) +
      secret("ca", { "tls.crt": "CA" }),
    of: "mtls",
    before: /b\.example in Host came in without/,
    now: /421/,
  },
  {
    code: "host-stops",
    severity: "error",
    yaml:
      object("Host", "shop", {
        hostname: "shop.example",
        tlsSecret: { name: "certs" },
        tls: { min_tls_version: "v9" },
      }) + CERTS,
    of: "shop",
    before: /without what is wrong/,
    now: /shop\.example are refused/,
  },
  {
    code: "unknown-names-served",
    severity: "warning",
    yaml: SERVER,
    of: "server",
    before: /or with none/,
    now: /refused/,
  },
  {
    code: "host-claimed-twice",
    severity: "error",
    yaml: SERVER + context("twin", { hosts: ["A.example"], secret: "certs" }),
    of: "twin",
    before: /the first one won/,
    now: /refused/,
  },
  {
    code: "redirect-port-conflict",
    severity: "warning",
    yaml:
      context("a", { hosts: ["a.example"], secret: "certs", redirect_cleartext_from: 8080 }) +
      context("b", { hosts: ["b.example"], secret: "certs", redirect_cleartext_from: 8081 }) +
      CERTS,
    of: "a",
    before: /8080, 8081/,
    now: /None/,
  },
  {
    code: "old-tls-versions",
    severity: "warning",
    yaml: SERVER,
    of: "server",
    before: /1\.0 and 1\.1/,
    now: /1\.2 and 1\.3/,
  },
  {
    code: "host-dropped",
    severity: "error",
    yaml: object("Host", "shop", { hostname: "shop.example", tlsSecret: { name: "gone" } }),
    of: "shop",
    before: /gone is missing.*cleartext/,
    now: /refused/,
  },
  {
    code: "host-tls-ignored",
    severity: "warning",
    yaml: object("Host", "shop", { hostname: "shop.example", tls: { cert_required: true, ca_secret: "ca" } }),
    of: "shop",
    before: /only beside a tlsSecret/,
    now: /./,
  },
  {
    code: "request-policy-global",
    severity: "warning",
    yaml:
      object("Host", "a", { hostname: "a.example", requestPolicy: { insecure: { action: "Route" } } }) +
      object("Host", "b", { hostname: "b.example" }),
    of: "a",
    before: /Route, Redirect/,
    now: /its own/,
  },
  {
    code: "reject-is-404",
    severity: "info",
    yaml: object("Host", "a", { hostname: "a.example", requestPolicy: { insecure: { action: "Reject" } } }),
    of: "a",
    before: /404/,
    now: /400/,
  },
  {
    code: "credential-unchecked",
    severity: "error",
    yaml:
      mapping("a", { tls: "up" }) +
      context("up", { secret: "certs" }) +
      secret("certs", { "tls.crt": "CA", "tls.key": "KEY" }),
    of: "certs",
    before: /Nobody looked/,
    now: /not used/,
  },
  {
    code: "secret-type-ignored",
    severity: "error",
    yaml: secret("certs", PAIR, "example.com/odd"),
    of: "certs",
    before: /without a word/,
    now: /error/,
  },
  {
    code: "root-rotation-unseen",
    severity: "info",
    yaml: secret(
      "istio",
      { "cert-chain.pem": "CERT", "key.pem": "KEY", "root-cert.pem": "CA" },
      "istio.io/key-and-cert",
    ),
    of: "istio",
    before: /not noticed/,
    now: /seen/,
  },
  { code: "keys-on-disk", severity: "info", yaml: CERTS, of: "certs", before: /files/, now: /memory/ },
  {
    code: "configuration-frozen",
    severity: "info",
    yaml: context("up", { secret: "certs", cert_required: true }) + CERTS,
    of: "up",
    before: /no such field: Envoy refuses/,
    now: /nothing there/,
  },
  {
    code: "configuration-frozen",
    severity: "error",
    yaml: mapping("a", { prefix: "/a(", prefix_regex: true }),
    of: "a",
    before: /Envoy refuses/,
    now: /closed/,
  },
  {
    code: "object-not-served",
    severity: "error",
    yaml: object("Project", "site", { prefix: "/site/" }),
    of: "site",
    before: /acted on/,
    now: /not acted on/,
  },
  {
    code: "last-one-won",
    severity: "error",
    yaml: mapping("a", {}) + mapping("a", { service: "other" }),
    of: "a",
    before: /last one read won/,
    now: /None of them/,
  },
  {
    code: "module-key-lost",
    severity: "warning",
    yaml: module({ debug_mode: true }),
    of: "ambassador",
    before: /debug_mode was followed/,
    now: /does nothing/,
  },
  {
    code: "module-key-stops",
    severity: "error",
    yaml: module({ enable_http10: true }),
    of: "ambassador",
    before: /enable_http10 was followed/,
    now: /426/,
  },
  {
    code: "environment-expanded",
    severity: "warning",
    yaml: mapping("a", { add_request_headers: { "x-env": "$STAGE" } }),
    of: "a",
    before: /\$STAGE was replaced/,
    now: /as it stands/,
  },
  {
    code: "access-control-closes",
    severity: "error",
    yaml: mapping("a", {}) + object("FilterPolicy", "policy", { rules: [{ host: "*", path: "*" }] }),
    of: "policy",
    before: /left out, with the routes open/,
    now: /503/,
  },
  {
    code: "diagnostics-public",
    severity: "info",
    yaml: mapping("a", {}),
    of: "a",
    before: /open to/,
    now: /admin/,
  },
  {
    code: "lone-weight",
    severity: "warning",
    yaml: mapping("a", { weight: 10 }),
    of: "a",
    before: /10 % of the requests were taken; the other 90 %/,
    now: /all of them/,
  },
  {
    code: "weights-fall-through",
    severity: "warning",
    yaml: mapping("a", { weight: 30 }) + mapping("b", { prefix: "/a/", weight: 40, service: "other" }),
    of: "a",
    before: /70 % .* other 30 %/,
    now: /shares of 70/,
  },
  {
    code: "weights-over-100",
    severity: "warning",
    yaml: mapping("a", { weight: 60 }) + mapping("b", { prefix: "/a/", weight: 60, service: "other" }),
    of: "a",
    before: /sum 120/,
    now: /shares of 120/,
  },
  {
    code: "group-collision",
    severity: "warning",
    yaml: mapping("a", {}) + mapping("b", { prefix: "/a/", prefix_exact: true, service: "other" }),
    of: "b",
    before: /counted as one with Mapping a/,
    now: /Both are served/,
  },
  {
    code: "group-member-dropped",
    severity: "warning",
    yaml: mapping("a", { connect_timeout_ms: 1 }) + mapping("b", { prefix: "/a/", connect_timeout_ms: 2 }),
    of: "b",
    before: /while its status said Running/,
    now: /an error says so/,
  },
  {
    code: "namespaces-share-a-route",
    severity: "warning",
    yaml: mapping("a", {}) + mapping("b", { prefix: "/a/" }, "other"),
    of: "b",
    before: /split between them/,
    now: /same/,
  },
  {
    code: "keepalive-ignored",
    severity: "info",
    yaml: mapping("a", { keepalive: { idle_time: 100 } }),
    of: "a",
    before: /did nothing/,
    now: /100 seconds/,
  },
  {
    code: "service-malformed",
    severity: "error",
    yaml: mapping("a", { service: "foo://quote" }),
    of: "a",
    before: /unknown scheme/,
    now: /503/,
  },
  {
    code: "mapping-dropped",
    severity: "error",
    yaml: mapping("a", { timeout_ms: "soon" }),
    of: "a",
    before: /shorter prefix/,
    now: /keeps its place/,
  },
  {
    code: "tcp-shared-context",
    severity: "warning",
    yaml:
      object("TCPMapping", "a", { port: 7000, host: "a.example", service: "one" }) +
      object("TCPMapping", "b", { port: 7000, host: "b.example", service: "two" }) +
      SERVER +
      context("other", { hosts: ["b.example"], secret: "certs" }),
    of: "a",
    before: /certificate and the client check of a\.example/,
    now: /./,
  },
  {
    code: "tcp-host-never-matched",
    severity: "warning",
    yaml: object("TCPMapping", "a", { port: 7000, host: "a.example", service: "one" }),
    of: "a",
    before: /nothing ever came here/,
    now: /./,
  },
  {
    code: "tcp-weights",
    severity: "warning",
    yaml:
      object("TCPMapping", "a", { port: 7000, service: "one", weight: 20 }) +
      object("TCPMapping", "b", { port: 7000, service: "two", weight: 80 }),
    of: "a",
    before: /20 and 100/,
    now: /./,
  },
  {
    code: "tcp-idle-timeout-ignored",
    severity: "info",
    yaml: object("TCPMapping", "a", { port: 7000, service: "one", idle_timeout_ms: "5000" }),
    of: "a",
    before: /did nothing/,
    now: /./,
  },
  {
    code: "consul-datacenter-ignored",
    severity: "warning",
    yaml: object("ConsulResolver", "dc", { address: "consul:8500", datacenter: "east" }),
    of: "dc",
    before: /never sent/,
    now: /east/,
  },
  {
    code: "consul-service-unresolved",
    severity: "warning",
    yaml:
      object("ConsulResolver", "dc", { address: "consul:8500", datacenter: "east" }) +
      mapping("a", { service: "https://bar:9000", resolver: "dc" }),
    of: "a",
    before: /never found/,
    now: /asked for bar/,
  },
  {
    code: "consul-peer-unchecked",
    severity: "warning",
    yaml:
      object("ConsulResolver", "dc", { address: "consul:8500", datacenter: "east" }) +
      mapping("a", { service: "bar", resolver: "dc", tls: "up" }) +
      context("up", { secret: "certs" }) +
      CERTS,
    of: "a",
    before: /SPIFFE/,
    now: /chain to it/,
  },
  {
    code: "istio-peer-unchecked",
    severity: "warning",
    yaml:
      mapping("a", { tls: "istio-upstream" }) +
      context("istio-upstream", { secret: "istio-certs", alpn_protocols: "istio" }) +
      secret("istio-certs", PAIR),
    of: "istio-upstream",
    before: /did not ask who its peer is/,
    now: /no root is given/,
  },
  {
    code: "linkerd-header-appended",
    severity: "info",
    yaml: mapping("a", {}) + module({ add_linkerd_headers: true }),
    of: "a",
    before: /behind the client's own/,
    now: /only one/,
  },
  {
    code: "linkerd-port",
    severity: "info",
    yaml: mapping("a", { add_linkerd_headers: true, tls: "up" }) + context("up", { secret: "certs" }) + CERTS,
    of: "a",
    before: /port 80/,
    now: /443/,
  },
  {
    code: "linkerd-name",
    severity: "info",
    yaml: mapping("a", { add_linkerd_headers: true }),
    of: "a",
    before: /without a namespace/,
    now: /quote\.default\.svc/,
  },
  {
    code: "linkerd-canary",
    severity: "info",
    yaml:
      mapping("a", { add_linkerd_headers: true, weight: 20 }) +
      mapping("b", { prefix: "/a/", add_linkerd_headers: true, service: "other" }),
    of: "a",
    before: /undid the split/,
    now: /its own/,
  },
];
