import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import type { BehaviourCase, CasePeers } from "./case.ts";

const request = "GET /up/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/** The documented TLSContext and Mapping; `secret` and `context` say what is different. */
function documented(
  secret: (made: Awaited<ReturnType<typeof certificates>>) => string,
  context: Record<string, unknown> = {},
  service = (peers: CasePeers): string => `localhost:${peers.mtls}`,
): BehaviourCase["resources"] {
  return async (peers) =>
    mappingYaml("m", { prefix: "/up/", service: service(peers), tls: "ctx" }) +
    tlsContextYaml("ctx", { hosts: [], secret: "certs", ...context }) +
    secret(await certificates());
}

const good: Parameters<typeof documented>[0] = ({ client, ca }) =>
  secretYaml("certs", { certificate: client.certificate, privateKey: client.privateKey, ca: ca.certificate });

export const upstreamTlsCases: readonly BehaviourCase[] = [
  {
    name: "the documented page: the gateway presents its certificate",
    resources: documented(good),
    request,
    expect: {
      statuses: [200],
      seen(seen) {
        assert.equal(seen.clientSubject, "CN=gateway");
        assert.equal(seen.path, "/x");
      },
    },
  },
  {
    name: "no CA at all: served unverified, as 1.14, with a warning",
    resources: documented(({ client }) => secretYaml("certs", client)),
    request,
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.clientSubject, "CN=gateway") },
  },
  {
    name: "a CA that did not sign the upstream: 503, and the upstream sees no request",
    resources: documented(({ client, stranger }) =>
      secretYaml("certs", { ...client, ca: stranger.certificate }),
    ),
    request,
    expect: { statuses: [503], seen: null, failure: "upstream_certificate_untrusted" },
  },
  {
    name: "a certificate for another name: 503",
    resources: documented(good, { sni: "other.example" }),
    request,
    expect: { statuses: [503], seen: null, failure: "upstream_certificate_name_mismatch" },
  },
  ...["cert_chain_file", "private_key_file", "cacert_chain_file"].map(
    (missing): BehaviourCase => ({
      name: `${missing} names no file: 503, and other routes work`,
      async resources(peers) {
        const { client, ca } = await certificates();
        const folder = mkdtempSync(join(tmpdir(), "credence-files-"));
        process.once("exit", () => rmSync(folder, { recursive: true }));
        const files = {
          cert_chain_file: client.certificate,
          private_key_file: client.privateKey,
          cacert_chain_file: ca.certificate,
        };
        const named = Object.entries(files).map(([field, text]) => {
          const path = join(folder, field);
          if (field !== missing) writeFileSync(path, text, { mode: 0o600 });
          return [field, path];
        });
        return (
          mappingYaml("m", { prefix: "/up/", service: `localhost:${peers.mtls}`, tls: "ctx" }) +
          mappingYaml("other", { prefix: "/other/", service: `localhost:${peers.cleartext}` }) +
          tlsContextYaml("ctx", { hosts: [], ...Object.fromEntries(named) })
        );
      },
      request: `GET /up/ HTTP/1.1\r\nHost: localhost\r\n\r\n${request.replace("/up/", "/other/")}`,
      expect: {
        statuses: [503, 200],
        seen: ({ path }) => assert.equal(path, "/x"),
        failure: "route_fails_closed",
      },
    }),
  ),
  {
    name: "two different Secrets of one name: neither is used, 503",
    resources: documented((made) => good(made) + secretYaml("certs", made.server)),
    request,
    expect: { statuses: [503], seen: null, failure: "route_fails_closed" },
  },
  {
    name: "an address is verified against IP SANs",
    resources: documented(good, {}, ({ mtls }) => `127.0.0.1:${mtls}`),
    request,
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.clientSubject, "CN=gateway") },
  },
  {
    name: "ca_secret alone: one-way TLS, verified",
    resources: async (peers) =>
      mappingYaml("m", { prefix: "/up/", service: `localhost:${peers.tls}`, tls: "ctx" }) +
      tlsContextYaml("ctx", { hosts: [], ca_secret: "ca" }) +
      secretYaml("ca", { certificate: (await certificates()).ca.certificate }),
    request,
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.secure, true) },
  },
  {
    name: "http:// with a context is TLS all the same",
    resources: documented(good, {}, ({ mtls }) => `http://localhost:${mtls}`),
    request,
    expect: { statuses: [200], seen: (seen) => assert.equal(seen.clientSubject, "CN=gateway") },
  },
  {
    name: "two Mappings with one https:// service keep their own client certificates",
    resources: async (peers) => {
      const { ca, client } = await certificates();
      const other = await ca.issue({ commonName: "second", usage: "client" });
      return (
        mappingYaml("a", { prefix: "/other/", service: `https://localhost:${peers.mtls}`, tls: "c1" }) +
        mappingYaml("b", { prefix: "/up/", service: `https://localhost:${peers.mtls}`, tls: "c2" }) +
        tlsContextYaml("c1", { hosts: [], secret: "s1" }) +
        tlsContextYaml("c2", { hosts: [], secret: "s2" }) +
        secretYaml("s1", { ...client, ca: ca.certificate }) +
        secretYaml("s2", { ...other, ca: ca.certificate })
      );
    },
    request: `GET /other/1 HTTP/1.1\r\nHost: localhost\r\n\r\n${request}`,
    expect: {
      statuses: [200, 200],
      body: /CN=gateway/,
      seen: (seen) => assert.equal(seen.clientSubject, "CN=second"),
    },
  },
  {
    name: "a plaintext peer where TLS was meant: 503",
    resources: documented(good, {}, ({ cleartext }) => `localhost:${cleartext}`),
    request,
    expect: { statuses: [503], seen: null, failure: "upstream_tls_handshake_failed" },
  },
  ...Object.entries({
    "TLS 1.3 only": { min_tls_version: "v1.3" },
    "TLS 1.2 at most": { max_tls_version: "v1.2" },
    "one cipher of TLS 1.2": { max_tls_version: "v1.2", cipher_suites: ["ECDHE-ECDSA-AES128-GCM-SHA256"] },
    "a TLS 1.2 cipher named and TLS 1.3 allowed": {
      min_tls_version: "v1.3",
      cipher_suites: ["ECDHE-ECDSA-AES128-GCM-SHA256"],
    },
    "one group": { ecdh_curves: ["P-256"] },
    "ALPN istio,http/1.1": { alpn_protocols: "istio, http/1.1" },
  }).map(
    ([name, context]): BehaviourCase => ({
      name: `${name} works`,
      resources: documented(good, context),
      request,
      expect: { statuses: [200], seen: (seen) => assert.equal(seen.clientSubject, "CN=gateway") },
    }),
  ),
];
