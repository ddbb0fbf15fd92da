import assert from "node:assert/strict";
import {
  certificates,
  mappingYaml,
  moduleYaml,
  secretYaml,
  tlsContextYaml,
} from "../support/certificates.ts";
import type { BehaviourCase, CasePeers } from "./case.ts";

/** Host a.example without client certificates, m.example that requires them, o.example that takes them. */
async function hosts({ cleartext }: CasePeers): Promise<string> {
  const { ca, server } = await certificates();
  return (
    mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }) +
    tlsContextYaml("a", { hosts: ["a.example", "*.wild.example"], secret: "server" }) +
    tlsContextYaml("m", { hosts: ["m.example"], secret: "server", ca_secret: "ca", cert_required: true }) +
    tlsContextYaml("o", { hosts: ["o.example"], secret: "server", ca_secret: "ca" }) +
    tlsContextYaml("broken", { hosts: ["broken.example"], secret: "no-such-secret" }) +
    tlsContextYaml("noca", {
      hosts: ["noca.example"],
      secret: "server",
      ca_secret: "no-such-secret",
      cert_required: true,
    }) +
    secretYaml("server", server) +
    secretYaml("ca", { certificate: ca.certificate })
  );
}

const get = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
const over = (
  serverName: string,
  host = serverName,
): Pick<BehaviourCase, "via" | "resources" | "request" | "serverName"> => ({
  via: "https",
  resources: hosts,
  request: get(host),
  serverName,
});

/** A verified client that sends a header of its own, under a Module's rule. */
const forwarded = (
  mode: string,
  clientCertificate: BehaviourCase["clientCertificate"],
  seen: (header: string | undefined) => void,
): BehaviourCase => ({
  name: `X-Forwarded-Client-Cert with ${mode}, ${clientCertificate === undefined ? "no client certificate" : "a verified client"}`,
  via: "https",
  serverName: "o.example",
  ...(clientCertificate === undefined ? {} : { clientCertificate }),
  request:
    "GET / HTTP/1.1\r\nHost: o.example\r\nX-Forwarded-Client-Cert: Hash=sent\r\nConnection: close\r\n\r\n",
  resources: async (peers) =>
    (await hosts(peers)) +
    moduleYaml({
      forward_client_cert_details: mode,
      set_current_client_cert_details: { subject: true, dns: true },
    }),
  expect: {
    statuses: [200],
    seen: ({ headers }) => seen(headers["x-forwarded-client-cert"] as string | undefined),
  },
});
const OWN = /^Hash=[0-9a-f]{64};Subject="CN=gateway";DNS=gateway\.example$/;

export const clientCases: readonly BehaviourCase[] = [
  forwarded("SANITIZE", "trusted", (header) => assert.equal(header, undefined)),
  forwarded("FORWARD_ONLY", "trusted", (header) => assert.equal(header, "Hash=sent")),
  forwarded("FORWARD_ONLY", undefined, (header) => assert.equal(header, undefined)),
  forwarded("APPEND_FORWARD", "trusted", (header) => {
    const [sent, own] = (header ?? "").split(",");
    assert.equal(sent, "Hash=sent");
    assert.match(own ?? "", OWN);
  }),
  forwarded("SANITIZE_SET", "trusted", (header) => assert.match(header ?? "", OWN)),
  forwarded("SANITIZE_SET", undefined, (header) => assert.equal(header, undefined)),
  forwarded("ALWAYS_FORWARD_ONLY", undefined, (header) => assert.equal(header, "Hash=sent")),
  {
    ...forwarded("ALWAYS_FORWARD_ONLY", undefined, (header) =>
      assert.equal(header, "Hash=client,Hash=proxy"),
    ),
    name: "X-Forwarded-Client-Cert with ALWAYS_FORWARD_ONLY, in two lines",
    request: get("o.example").replace(
      "Connection:",
      "X-Forwarded-Client-Cert: Hash=client\r\nX-Forwarded-Client-Cert: Hash=proxy\r\nConnection:",
    ),
  },
  {
    name: "a host by its exact name",
    ...over("a.example"),
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.headers["x-forwarded-proto"], "https") },
  },
  { name: "a host by a wildcard", ...over("x.wild.example"), expect: { statuses: [200] } },
  { name: "an unknown name is refused", ...over("unknown.example"), expect: { statuses: [], seen: null } },
  {
    name: "no name is refused",
    via: "https",
    resources: hosts,
    request: get("a.example"),
    expect: { statuses: [], seen: null },
  },
  {
    name: "required: with a certificate",
    ...over("m.example"),
    clientCertificate: "trusted",
    expect: { statuses: [200] },
  },
  { name: "required: without one, refused", ...over("m.example"), expect: { statuses: [], seen: null } },
  {
    name: "required: with a stranger's, refused",
    ...over("m.example"),
    clientCertificate: "stranger",
    expect: { statuses: [], seen: null },
  },
  { name: "optional: without one", ...over("o.example"), expect: { statuses: [200] } },
  {
    name: "optional: with a stranger's, refused",
    ...over("o.example"),
    clientCertificate: "stranger",
    expect: { statuses: [], seen: null },
  },
  {
    name: "SNI of a host without client certificates, Host of one with: 421",
    ...over("a.example", "m.example"),
    expect: { statuses: [421], seen: null, failure: "misdirected_request" },
  },
  {
    name: "SNI of a host with optional certificates, Host of one that requires them: 421",
    ...over("o.example", "m.example"),
    clientCertificate: "trusted",
    expect: { statuses: [421], seen: null },
  },
  {
    name: "SNI of a host whose clients one CA vouches for, Host of one with another CA: 421",
    via: "https",
    async resources(peers) {
      const { stranger } = await certificates();
      return (
        (await hosts(peers)) +
        tlsContextYaml("s", {
          hosts: ["s.example"],
          secret: "server",
          ca_secret: "other",
          cert_required: true,
        }) +
        secretYaml("other", { certificate: stranger.certificate })
      );
    },
    serverName: "m.example",
    clientCertificate: "trusted",
    request: get("s.example"),
    expect: { statuses: [421], seen: null, failure: "misdirected_request" },
  },
  ...(
    [
      ["a host that any client of the CA may use", "m.example", "n.example", [421]],
      ["a host that asks for another name", "g.example", "n.example", [421]],
      ["a host that asks for a name as well", "g.example", "m.example", [200]],
      ["the same", "g.example", "g.example", [200]],
      ["the same, whose name the client has not", "n.example", "n.example", []],
    ] as const
  ).map(
    ([what, serverName, host, statuses]): BehaviourCase => ({
      name: `one CA, SNI of ${what}, Host ${host}: ${statuses.join("") || "refused"}`,
      via: "https",
      async resources(peers) {
        const ruled = (name: string, dnsName: string): string =>
          tlsContextYaml(name, {
            hosts: [`${name}.example`],
            secret: "server",
            ca_secret: "ca",
            cert_required: true,
            verify: { dns_names: [dnsName] },
          });
        return (await hosts(peers)) + ruled("g", "gateway.example") + ruled("n", "nobody.example");
      },
      serverName,
      clientCertificate: "trusted",
      request: get(host),
      expect: {
        statuses: [...statuses],
        ...(statuses[0] === 200 ? {} : { seen: null }),
        ...(statuses[0] === 421 ? { failure: "misdirected_request" as const } : {}),
      },
    }),
  ),
  ...["m.example", "M.Example.", "m.example:443"].map(
    (host): BehaviourCase => ({
      name: `a host for * and no certificate, Host ${host} of one that requires it: 421`,
      via: "https",
      resources: async (peers) =>
        (await hosts(peers)) + tlsContextYaml("star", { hosts: ["*"], secret: "server" }),
      serverName: "else.example",
      request: get(host),
      expect: { statuses: [421], seen: null, failure: "misdirected_request" },
    }),
  ),
  {
    name: "Host that is refused over TLS: 421",
    ...over("a.example", "broken.example"),
    expect: { statuses: [421], seen: null, failure: "misdirected_request" },
  },
  ...(
    [
      ["a host without client certificates", "a.example", false, [200]],
      ["a host that requires them", "m.example", false, [421]],
      ["a host that takes them", "o.example", false, [421]],
      ["a host that is refused", "broken.example", false, [421]],
      ["no proxy is trusted", "a.example", true, [400]],
    ] as const
  ).map(
    ([name, host, useRemoteAddress, statuses]): BehaviourCase => ({
      name: `a client of the http listener says that a proxy ended TLS: ${name}`,
      resources: async (peers) => (await hosts(peers)) + moduleYaml({ use_remote_address: useRemoteAddress }),
      request: get(host).replace("Connection:", "X-Forwarded-Proto: https\r\nConnection:"),
      expect: { statuses, ...(statuses[0] === 200 ? {} : { seen: null }) },
    }),
  ),
  {
    name: "Host that nobody serves over TLS: 421",
    ...over("a.example", "unknown.example"),
    expect: { statuses: [421], seen: null },
  },
  {
    name: "a host whose Secret is missing refuses handshakes",
    ...over("broken.example"),
    expect: { statuses: [], seen: null },
  },
  {
    name: "a host whose CA is missing refuses handshakes",
    ...over("noca.example"),
    clientCertificate: "trusted",
    expect: { statuses: [], seen: null },
  },
  {
    name: "its cleartext is refused too",
    resources: hosts,
    request: get("broken.example"),
    expect: { statuses: [400], seen: null, failure: "cleartext_refused" },
  },
  {
    name: "cleartext for a TLS host: 400",
    resources: hosts,
    request: get("a.example"),
    expect: { statuses: [400], seen: null, failure: "cleartext_refused" },
  },
  {
    name: "cleartext for any other host: 400 once TLS is served",
    resources: hosts,
    request: get("else.example"),
    expect: { statuses: [400], seen: null },
  },
  {
    name: "redirect_cleartext_from 8080: the http listener redirects that host",
    resources: redirectedHost,
    request: "GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
    expect: { statuses: [301], head: /location: https:\/\/a\.example\/x\?y=1\r\n/, seen: null },
  },
  {
    name: "OPTIONS * is redirected nowhere, as no URL says it",
    resources: redirectedHost,
    request: "OPTIONS * HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n",
    expect: { statuses: [404], seen: null, failure: "no_route" },
  },
  {
    name: "a host for * answers whatever name, and none",
    via: "https",
    async resources({ cleartext }) {
      return (
        mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }) +
        tlsContextYaml("a", { hosts: ["*"], secret: "server" }) +
        secretYaml("server", (await certificates()).server)
      );
    },
    request: get("whatever.example"),
    expect: { statuses: [200] },
  },
];

async function redirectedHost({ cleartext }: CasePeers): Promise<string> {
  return (
    mappingYaml("m", { prefix: "/", service: `localhost:${cleartext}` }) +
    tlsContextYaml("a", { hosts: ["a.example"], secret: "server", redirect_cleartext_from: 8080 }) +
    secretYaml("server", (await certificates()).server)
  );
}
