import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "node:tls";
import { createAuthority, type IssuedCertificate } from "../../../../src/x509/authority.ts";
import { secretYaml, tlsContextYaml } from "../../../support/certificates.ts";
import { startGateway } from "../../../support/gateway.ts";

// What docs/errors.md says under "What a client sees whose certificate is refused": that Node sends no alert may change.

test("a client without certificate is sent an alert by both engines, one that is refused by Envoy alone", async () => {
  const [servers, clients, strangers] = await Promise.all([
    createAuthority("servers CA"),
    createAuthority("clients CA"),
    createAuthority("strangers CA"),
  ]);
  const server = await servers.issue({ commonName: "a.example", dnsNames: ["a.example"] });
  const stranger = await strangers.issue({ commonName: "stranger" });
  const yaml =
    secretYaml("server", server) +
    secretYaml("clients", { ca: clients.certificate }) +
    tlsContextYaml("t", {
      ...{ hosts: ["a.example"], secret: "server", ca_secret: "clients", cert_required: true },
    });
  const seen: Record<string, (string | null)[]> = {};
  for (const engine of ["node", "envoy"] as const) {
    const gateway = await startGateway({ "a.yaml": yaml }, { engine });
    try {
      const { httpsPort } = gateway;
      seen[engine] = await Promise.all([
        ...VERSIONS.map((version) => alertTo(httpsPort, version, undefined)),
        ...VERSIONS.map((version) => alertTo(httpsPort, version, stranger)),
      ]);
    } finally {
      await gateway.stop();
    }
  }
  assert.deepEqual(seen, {
    node: ["certificate required", "handshake failure", null, null],
    envoy: ["certificate required", "handshake failure", "unknown ca", "unknown ca"],
  });
});

const VERSIONS = ["TLSv1.3", "TLSv1.2"] as const;

/** The alert that the client's OpenSSL tells of; null: the connection ends without one. */
function alertTo(
  port: number,
  version: (typeof VERSIONS)[number],
  own: IssuedCertificate | undefined,
): Promise<string | null> {
  const socket = connect({
    ...{ port, host: "127.0.0.1", servername: "a.example", rejectUnauthorized: false },
    ...{ minVersion: version, maxVersion: version },
    ...(own === undefined ? {} : { cert: own.certificate, key: own.privateKey }),
  });
  return new Promise((resolve) => {
    let alert: string | null = null;
    socket.on("error", (error) => {
      alert = /alert ([a-z ]+)/.exec(error.message)?.[1] ?? null;
    });
    socket.on("close", () => resolve(alert));
    socket.resume();
  });
}
