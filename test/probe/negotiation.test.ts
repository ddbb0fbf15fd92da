import assert from "node:assert/strict";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import type { TlsOptions } from "node:tls";
import type { HandshakeReason } from "../../src/diagnostics/handshake.ts";
import { issue, NAMES, PURPOSES, rsaKeys } from "../support/issuing.ts";
import {
  chainOf,
  CLIENT,
  CLIENTS,
  type Gateway,
  probePort,
  rawPeer,
  SERVER,
  serverOf,
  shows,
  tlsPeer,
} from "./peers.ts";

const RSA_SERVER = serverOf({ subject: "rsa", keys: rsaKeys() });
const WEAK = "DEFAULT:@SECLEVEL=0";

interface Case {
  readonly what: string;
  readonly peer: TlsOptions;
  readonly gateway?: Gateway;
  readonly reason: HandshakeReason;
  readonly says: RegExp;
  readonly change?: string;
}

const CASES: readonly Case[] = [
  {
    what: "only TLS 1.1",
    peer: { ...shows(RSA_SERVER), minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: WEAK },
    reason: "no_common_version",
    says: /takes TLS 1\.1, and TLS 1\.2 to TLS 1\.3 is offered/,
    change: "tlscontext/default/up#min_tls_version min_tls_version: v1.1, though better the peer is updated",
  },
  {
    what: "only TLS 1.3, and the context ends at 1.2",
    peer: { ...shows(SERVER), minVersion: "TLSv1.3" },
    gateway: { parameters: { maxVersion: "v1.2" } },
    reason: "no_common_version",
    says: /takes TLS 1\.3, and TLS 1\.2 is offered/,
    change: "tlscontext/default/up#max_tls_version max_tls_version: v1.3",
  },
  {
    what: "only TLS 1.2, and the context begins at 1.3",
    peer: { ...shows(SERVER), maxVersion: "TLSv1.2" },
    gateway: { parameters: { minVersion: "v1.3" } },
    reason: "no_common_version",
    says: /takes TLS 1\.2, and TLS 1\.3 is offered/,
    change: "tlscontext/default/up#min_tls_version min_tls_version: v1.2",
  },
  {
    what: "only TLS 1.1, which it chooses though TLS 1.2 alone is offered",
    peer: { ...shows(RSA_SERVER), minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: WEAK },
    gateway: { parameters: { maxVersion: "v1.2" } },
    reason: "no_common_version",
    says: /takes TLS 1\.1, and TLS 1\.2 is offered/,
    change: "tlscontext/default/up#min_tls_version min_tls_version: v1.1, though better the peer is updated",
  },
  {
    what: "another cipher suite of TLS 1.2",
    peer: { ...shows(RSA_SERVER), maxVersion: "TLSv1.2", ciphers: "ECDHE-RSA-AES256-SHA384" },
    gateway: { parameters: { cipherSuites: ["ECDHE-RSA-AES128-GCM-SHA256"] } },
    reason: "no_common_cipher",
    says: /takes ECDHE-RSA-AES256-SHA384, which is not offered/,
    change: "tlscontext/default/up#cipher_suites cipher_suites: add ECDHE-RSA-AES256-SHA384",
  },
  {
    what: "another cipher suite of TLS 1.3",
    peer: { ...shows(SERVER), minVersion: "TLSv1.3", ciphers: "TLS_CHACHA20_POLY1305_SHA256" },
    gateway: { parameters: { cipherSuites: ["TLS_AES_128_GCM_SHA256"] } },
    reason: "no_common_cipher",
    says: /takes TLS_CHACHA20_POLY1305_SHA256, which is not offered/,
    change: "tlscontext/default/up#cipher_suites cipher_suites: add TLS_CHACHA20_POLY1305_SHA256",
  },
  {
    what: "a suite that few have",
    peer: { ...shows(SERVER), maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0" },
    reason: "no_common_cipher",
    says: /takes ECDHE-ECDSA-AES128-CCM8, which is not offered/,
    change: "tlscontext/default/up#cipher_suites cipher_suites: add ECDHE-ECDSA-AES128-CCM8",
  },
  {
    what: "another group, in TLS 1.3",
    peer: { ...shows(SERVER), ecdhCurve: "P-521" },
    reason: "no_common_group",
    says: /takes the group P-521, which is not offered/,
    change: "tlscontext/default/up#ecdh_curves ecdh_curves: add P-521",
  },
  {
    what: "another group, in TLS 1.2",
    peer: {
      ...shows(RSA_SERVER),
      ecdhCurve: "P-521",
      maxVersion: "TLSv1.2",
      ciphers: "ECDHE-RSA-AES128-GCM-SHA256",
    },
    reason: "no_common_group",
    says: /takes the group P-521, which is not offered/,
    change: "tlscontext/default/up#ecdh_curves ecdh_curves: add P-521",
  },
  {
    what: "only signatures with SHA-1",
    peer: {
      ...shows(RSA_SERVER),
      maxVersion: "TLSv1.2",
      sigalgs: "RSA+SHA1",
      ciphers: "ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
    },
    reason: "no_common_signature",
    says: /signs with rsa_pkcs1_sha1, which is not offered/,
  },
  {
    what: "another application protocol",
    peer: { ...shows(SERVER), ALPNProtocols: ["h2"] },
    reason: "alpn_mismatch",
    says: /alert "no application protocol" \(120\)/,
    change: "tlscontext/default/up#alpn_protocols alpn_protocols: a protocol that the peer has",
  },
  {
    what: "nobody whose server name it does not know",
    peer: {
      ...shows(SERVER),
      SNICallback: (_name, done) => done(new Error("unknown")),
    },
    reason: "sni_unknown",
    says: /takes the handshake without a server name, and refuses it for peer\.example/,
    change: "tlscontext/default/up#sni sni: a name that the peer serves",
  },
];

for (const { what, peer, gateway, reason, says, change } of CASES)
  test(`a peer that takes ${what}: ${reason}`, async (t) => {
    const port = await tlsPeer(t, peer);
    const report = await probePort(port, { client: [CLIENT], ...gateway });
    const { verdict, steps } = report;
    assert.equal(verdict.reason, reason, verdict.says);
    assert.match(verdict.says, says);
    assert.equal(verdict.step, "hello");
    assert.equal(steps.find(({ step }) => step === "hello")?.status, "failed");
    assert.ok((report.offered?.cipherSuites.length ?? 0) > 0);
    if (change !== undefined)
      assert.deepEqual(
        verdict.change.map(({ place, says: what }) => `${place} ${what}`),
        [change],
      );
  });

test("two things that do not meet are both told", async (t) => {
  const port = await tlsPeer(t, {
    ...shows(RSA_SERVER),
    ciphers: "ECDHE-RSA-AES256-SHA384",
    ecdhCurve: "P-521",
    maxVersion: "TLSv1.2",
  });
  const { verdict } = await probePort(port, {
    parameters: { cipherSuites: ["ECDHE-RSA-AES128-GCM-SHA256"] },
  });
  const all = [verdict.reason, ...verdict.also.map(({ reason }) => reason)];
  assert.deepEqual(all, ["no_common_cipher", "no_common_group"]);
});

/** A server that must see a certificate of CLIENTS. */
function mutual(t: TestContext, options: TlsOptions & { answer?: string } = {}): Promise<number> {
  return tlsPeer(t, {
    ...shows(SERVER),
    ca: chainOf(CLIENTS),
    requestCert: true,
    rejectUnauthorized: true,
    ...options,
  });
}

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${version}: our certificate is taken, and what the peer asked for is shown`, async (t) => {
    const port = await mutual(t, { minVersion: version, maxVersion: version });
    const { verdict, asked, presented, accepted } = await probePort(port, { client: [CLIENT] });
    assert.ok(verdict.good, verdict.says);
    assert.deepEqual(asked?.authorities, ["CN=clients' root"]);
    assert.ok(asked?.signatures.includes("ecdsa_secp256r1_sha256"));
    assert.equal(presented[0]?.subject, "CN=gateway");
    assert.equal(accepted, true);
  });

  test(`${version}: no certificate is sent where one is asked for`, async (t) => {
    const port = await mutual(t, { minVersion: version, maxVersion: version });
    const { verdict, accepted, presented } = await probePort(port);
    assert.equal(verdict.reason, "client_certificate_missing", verdict.says);
    assert.equal(verdict.step, "accepted");
    assert.match(verdict.says, /with the alert "(certificate required|handshake failure)"/);
    assert.equal(accepted, false);
    assert.deepEqual(presented, []);
    assert.deepEqual(
      verdict.change.map(({ place, says }) => `${place} ${says}`),
      ["tlscontext/default/up#secret secret: one with a client certificate of CN=clients' root"],
    );
  });

  test(`${version}: our certificate is refused in silence, of another CA than is asked for`, async (t) => {
    const port = await mutual(t, { minVersion: version, maxVersion: version });
    const { verdict, accepted, steps } = await probePort(port, { client: [SERVER] });
    assert.equal(verdict.reason, "client_certificate_refused", verdict.says);
    assert.equal(verdict.step, "accepted");
    assert.match(verdict.says, /after it was shown our certificate, without an alert/);
    assert.equal(accepted, false);
    assert.match(
      steps.find(({ step }) => step === "presented")?.details.join() ?? "",
      /none of our issuers is among the CAs that the peer names/,
    );
  });
}

test("our certificate is refused as it is not meant for clients: that is seen in it, and said", async (t) => {
  const port = await mutual(t, {});
  const client = issue({
    by: CLIENTS,
    subject: "gateway",
    names: [NAMES.dns("gateway.example")],
    extendedKeyUsage: [PURPOSES.server],
  });
  const { verdict, steps } = await probePort(port, { client: [client] });
  assert.equal(verdict.reason, "client_certificate_refused", verdict.says);
  const presented = steps.find(({ step }) => step === "presented");
  assert.equal(presented?.status, "warning");
  assert.match(
    presented?.details.join() ?? "",
    /not meant for clients \(extendedKeyUsage without clientAuth\)/,
  );
  assert.match(verdict.change[0]?.says ?? "", /^another certificate of CN=clients' root, meant for clients$/);
});

test("a peer that asks for signatures that our key cannot make: the certificate stays at home", async (t) => {
  const port = await mutual(t, {
    ...shows(RSA_SERVER),
    sigalgs: "rsa_pss_rsae_sha256",
    minVersion: "TLSv1.3",
  });
  const { verdict, steps } = await probePort(port, { client: [CLIENT] });
  assert.equal(verdict.reason, "no_common_signature", verdict.says);
  assert.match(verdict.says, /our key \(EC P-256\) fits none of the signature algorithms/);
  assert.match(steps.find(({ step }) => step === "presented")?.says ?? "", /^nothing: our EC P-256 key/);
});

test("a request is sent to a peer that is verified, and to no other", async (t) => {
  const port = await mutual(t);
  const request = { method: "HEAD", path: "/" };
  const good = await probePort(port, { client: [CLIENT], context: { request } });
  assert.match(
    good.steps.find(({ step }) => step === "accepted")?.details.join() ?? "",
    /HTTP\/1\.1 204 No Content/,
  );
  const wrong = await probePort(port, { client: [CLIENT], name: "other.example", context: { request } });
  assert.equal(wrong.verdict.reason, "name_mismatch");
  assert.doesNotMatch(JSON.stringify(wrong.steps), /204 No Content/);
});

test("a peer that makes the handshake with anybody, as nginx does: its answer to a request says what it misses", async (t) => {
  const answered = (words: string): Promise<number> =>
    mutual(t, {
      rejectUnauthorized: false,
      answer: `HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>\r\n<head><title>400 ${words}</title></head>`,
    });
  const context = { request: { method: "GET", path: "/" } };
  const missed = await answered("No required SSL certificate was sent");
  const without = await probePort(missed, { context });
  assert.equal(without.verdict.reason, "client_certificate_missing");
  assert.match(
    without.verdict.says,
    /"HTTP\/1\.1 400 Bad Request": "400 No required SSL certificate was sent"/,
  );
  const refused = await probePort(await answered("The SSL certificate error"), { client: [CLIENT], context });
  assert.equal(refused.verdict.reason, "client_certificate_refused");
  assert.equal(refused.accepted, false);
  const unasked = await probePort(missed);
  assert.ok(unasked.verdict.good);
  assert.match(unasked.steps.find(({ step }) => step === "accepted")?.details.join() ?? "", /--request/);
});

test("a peer that gives no sign in TLS 1.3 is asked in TLS 1.2, where it must; where it has none, that is said", async (t) => {
  const port = await withoutWhatFollows(t, await mutual(t));
  const told = await probePort(port, { client: [CLIENT], context: { settleMs: 200 } });
  assert.ok(told.verdict.good, told.verdict.says);
  assert.equal(told.accepted, true);
  assert.match(told.steps.find(({ step }) => step === "accepted")?.details.join() ?? "", /in TLS 1\.2/);
  const only13 = await withoutWhatFollows(t, await mutual(t, { minVersion: "TLSv1.3" }));
  const untold = await probePort(only13, { client: [CLIENT], context: { settleMs: 200 } });
  assert.equal(untold.accepted, null);
  assert.match(untold.verdict.says, /as far as TLS 1\.3 lets one tell/);
  assert.equal(untold.steps.find(({ step }) => step === "accepted")?.status, "warning");
});

/** Passes on a server's first flight, and in TLS 1.3 nothing after it: tickets are what would follow. */
async function withoutWhatFollows(t: TestContext, behind: number): Promise<number> {
  return rawPeer(t, (client) => {
    const server = connect(behind, "127.0.0.1");
    server.on("error", () => {});
    let flights = 0;
    let is13 = false;
    client.on("data", (bytes) => {
      flights += 1;
      server.write(bytes);
    });
    server.on("data", (bytes: Buffer) => {
      // A ServerHello of TLS 1.3 says so in supported_versions (43): 002b 0002 0304.
      is13 ||= bytes.includes(Buffer.from("002b00020304", "hex"));
      if (!is13 || flights === 1) client.write(bytes);
    });
    client.on("close", () => server.destroy());
  });
}
