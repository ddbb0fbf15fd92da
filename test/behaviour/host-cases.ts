import assert from "node:assert/strict";
import { certificates, mappingYaml, moduleYaml, secretYaml } from "../support/certificates.ts";
import type { BehaviourCase, CasePeers } from "./case.ts";

const object = (kind: string, name: string, spec: Record<string, unknown>): string =>
  `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind, metadata: { name }, spec })}\n`;
/** A Host of this name with `.example` behind it. */
const host = (name: string, action: string | null, spec: Record<string, unknown> = {}): string =>
  object("Host", name, {
    hostname: `${name}.example`,
    tlsSecret: { name: "server" },
    ...(action === null ? {} : { requestPolicy: { insecure: { action } } }),
    ...spec,
  });

/** Hosts of every policy; `m` requires client certificates, `o` takes them, `broken` and `noca` have no Secret to serve with. */
async function hosts({ cleartext }: CasePeers): Promise<string> {
  const { ca, server } = await certificates();
  return (
    mappingYaml("all", { prefix: "/", service: `localhost:${cleartext}` }) +
    host("default", null) +
    host("route", "Route") +
    host("reject", "Reject") +
    host("closed", "Route", { requestPolicy: { insecure: { action: "Route", additionalPort: -1 } } }) +
    host("plain", "Route", { tlsSecret: {} }) +
    host("broken", "Route", { tlsSecret: { name: "nowhere" } }) +
    host("noca", "Route", { tls: { ca_secret: "nowhere", cert_required: true } }) +
    host("m", "Redirect", { tls: { ca_secret: "ca", cert_required: true } }) +
    host("o", "Route", { tls: { caSecret: "ca" } }) +
    host("named", "Route", { tlsSecret: undefined, tlsContext: { name: "strict" } }) +
    object("Host", "wild", { hostname: "*.wild.example", tlsSecret: { name: "server" } }) +
    object("TLSContext", "strict", { secret: "server", ca_secret: "ca", cert_required: true }) +
    secretYaml("server", server) +
    secretYaml("ca", { certificate: ca.certificate })
  );
}

/** And names that nobody wrote are served, in cleartext too. */
const withAnyHost = async (peers: CasePeers): Promise<string> =>
  (await hosts(peers)) +
  object("Host", "any", {
    hostname: "*",
    tlsSecret: { name: "server" },
    requestPolicy: { insecure: { action: "Route" } },
  });

const get = (name: string, headers = ""): string =>
  `GET /x?y=1 HTTP/1.1\r\nHost: ${name}\r\n${headers}Connection: close\r\n\r\n`;
const cleartext = (name: string, expect: BehaviourCase["expect"], resources = hosts): BehaviourCase => ({
  name: `cleartext for ${name}: ${expect.statuses[0]}`,
  resources,
  request: get(name),
  expect,
});
const secure = (
  name: string,
  serverName: string,
  expect: BehaviourCase["expect"],
  more: Partial<BehaviourCase> = {},
): BehaviourCase => ({
  name,
  via: "https",
  serverName,
  resources: hosts,
  request: get(serverName),
  expect,
  ...more,
});
const REFUSED = { statuses: [], seen: null };
const redirectTo = (name: string): BehaviourCase["expect"] => ({
  statuses: [301],
  head: new RegExp(`location: https://${name.replaceAll(".", "\\.")}/x\\?y=1\\r\\n`),
  seen: null,
});

export const hostCases: readonly BehaviourCase[] = [
  // requestPolicy is each Host's own.
  cleartext("default.example", redirectTo("default.example")),
  cleartext("route.example", { statuses: [200] }),
  cleartext("reject.example", { statuses: [400], seen: null, failure: "cleartext_refused" }),
  cleartext("closed.example", { statuses: [400], seen: null }),
  cleartext("plain.example", { statuses: [200] }),
  cleartext("a.wild.example", redirectTo("a.wild.example")),
  cleartext("broken.example", { statuses: [400], seen: null }),
  cleartext("noca.example", { statuses: [400], seen: null }),
  cleartext("unknown.example", { statuses: [400], seen: null }),
  {
    name: "a trusted proxy that ended TLS is not redirected",
    resources: async (peers) => (await hosts(peers)) + moduleYaml({ use_remote_address: false }),
    request: get("default.example", "X-Forwarded-Proto: https\r\n"),
    expect: { statuses: [200] },
  },
  {
    name: "a client's X-Forwarded-Proto beside the proxy's does not make cleartext TLS",
    resources: async (peers) => (await hosts(peers)) + moduleYaml({ use_remote_address: false }),
    request: get("default.example", "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n"),
    expect: redirectTo("default.example"),
  },
  {
    name: "a trusted proxy that ended TLS opens no name that is not written down",
    resources: async (peers) => (await hosts(peers)) + moduleYaml({ use_remote_address: false }),
    request: get("unknown.example", "X-Forwarded-Proto: https\r\n"),
    expect: { statuses: [404], seen: null, failure: "no_route" },
  },
  // `reject.example..` is no name; without its dots the upstream would take it for one whose policy it was not held to.
  ...["reject.example..", "reject.example..:80", "reject.example.:80"].map((name) =>
    cleartext(name, { statuses: [400], seen: null }, withAnyHost),
  ),
  secure(
    "two final dots pass no other host's client check",
    "default.example",
    {
      statuses: [400],
      seen: null,
    },
    { resources: withAnyHost, request: get("m.example..") },
  ),
  // Server names.
  secure("a Host by its name", "default.example", { statuses: [200] }),
  secure("a Host by a wildcard", "a.b.wild.example", { statuses: [200] }),
  secure("a name that no Host has is refused", "unknown.example", REFUSED),
  secure("a Host without TLS is refused over TLS", "plain.example", REFUSED),
  secure("a Host whose tlsSecret is missing refuses handshakes", "broken.example", REFUSED),
  secure("a Host whose ca_secret is missing refuses handshakes", "noca.example", REFUSED, {
    clientCertificate: "trusted",
  }),
  // Client certificates.
  secure(
    "cert_required: with a certificate",
    "m.example",
    { statuses: [200] },
    { clientCertificate: "trusted" },
  ),
  secure("cert_required: without one, refused", "m.example", REFUSED),
  {
    ...secure(
      "cert_required of a TLSContext called as the one that the Host implies: refused",
      "o.example",
      REFUSED,
    ),
    resources: async (peers) =>
      (await hosts(peers)) +
      object("TLSContext", "o-context", {
        hosts: ["o.example"],
        secret: "server",
        ca_secret: "ca",
        cert_required: true,
      }),
  },
  secure("cert_required: with a stranger's, refused", "m.example", REFUSED, {
    clientCertificate: "stranger",
  }),
  secure("caSecret alone: without a certificate", "o.example", { statuses: [200] }),
  secure("caSecret alone: with a stranger's, refused", "o.example", REFUSED, {
    clientCertificate: "stranger",
  }),
  secure("tlsContext: its client check holds", "named.example", REFUSED),
  secure(
    "tlsContext: with a certificate",
    "named.example",
    { statuses: [200] },
    { clientCertificate: "trusted" },
  ),
  secure(
    "SNI of a Host without client check, Host header of one with: 421",
    "default.example",
    { statuses: [421], seen: null, failure: "misdirected_request" },
    { request: get("m.example") },
  ),
  secure(
    "SNI of a Host, Host header of one without TLS: 421",
    "default.example",
    { statuses: [421], seen: null },
    { request: get("plain.example") },
  ),
  {
    name: "two Hosts that differ on one name: refused",
    via: "https",
    serverName: "default.example",
    resources: async (peers) =>
      (await hosts(peers)) + host("again", null, { hostname: "default.example", tls: { ca_secret: "ca" } }),
    request: get("default.example"),
    expect: REFUSED,
  },
  {
    name: "a Host for * answers whatever name, and none",
    via: "https",
    async resources(peers) {
      const { server } = await certificates();
      return (
        mappingYaml("all", { prefix: "/", service: `localhost:${peers.cleartext}` }) +
        object("Host", "any", { tlsSecret: { name: "server" } }) +
        secretYaml("server", server)
      );
    },
    request: get("whatever.example"),
    expect: { statuses: [200] },
  },
  // Old Modules.
  {
    name: "Module tls serves every name",
    via: "https",
    serverName: "whatever.example",
    resources: oldModule({ server: { enabled: true, secret: "server" } }),
    request: get("whatever.example"),
    expect: { statuses: [200] },
  },
  {
    name: "Module tls: a client that is to show a certificate and does not is refused",
    via: "https",
    serverName: "whatever.example",
    resources: oldModule({ server: { secret: "server" }, client: { secret: "ca", cert_required: true } }),
    request: get("whatever.example"),
    expect: REFUSED,
  },
  {
    name: "Module tls: a client that shows it is served with the server's own certificate",
    via: "https",
    serverName: "whatever.example",
    clientCertificate: "trusted",
    resources: oldModule({ server: { secret: "server" }, client: { secret: "ca", cert_required: true } }),
    request: get("whatever.example"),
    expect: { statuses: [200] },
  },
  {
    name: "Module tls without its Secret does not open cleartext",
    resources: oldModule({ server: {} }),
    request: get("whatever.example"),
    expect: { statuses: [400], seen: null },
  },
  {
    name: "x_forwarded_proto_redirect: cleartext is redirected",
    resources: ({ cleartext }) =>
      moduleYaml({ x_forwarded_proto_redirect: true }) +
      mappingYaml("all", { prefix: "/", service: `localhost:${cleartext}` }),
    request: get("any.example"),
    expect: redirectTo("any.example"),
  },
  {
    name: "x_forwarded_proto_redirect: a trusted proxy that ended TLS is served",
    resources: ({ cleartext }) =>
      moduleYaml({ x_forwarded_proto_redirect: true, use_remote_address: false }) +
      mappingYaml("all", { prefix: "/", service: `localhost:${cleartext}` }),
    request: get("any.example", "X-Forwarded-Proto: https\r\n"),
    expect: { statuses: [200] },
  },
  {
    name: "a Mapping in a Service's annotation is served",
    resources: ({ cleartext }) =>
      `apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  annotations:\n    getambassador.io/config: |\n` +
      `      apiVersion: ambassador/v1\n      kind: Mapping\n      name: m\n      prefix: /x\n` +
      `      rewrite: /annotated\n      service: localhost:${cleartext}\n`,
    request: get("any.example"),
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.path, "/annotated?y=1") },
  },
];

function oldModule(config: Record<string, unknown>): BehaviourCase["resources"] {
  return async ({ cleartext }) => {
    const { ca, server } = await certificates();
    return (
      mappingYaml("all", { prefix: "/", service: `localhost:${cleartext}` }) +
      object("Module", "tls", { config }) +
      secretYaml("server", server) +
      secretYaml("ca", { certificate: ca.certificate })
    );
  };
}
