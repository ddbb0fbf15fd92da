import assert from "node:assert/strict";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { CredentialStore } from "../../src/credentials/store.ts";
import { explainClient, type HandshakeReason } from "../../src/diagnostics/handshake.ts";
import type { ClientAuth, PeerRules } from "../../src/model/tls.ts";
import { probeListener } from "../../src/probe/listener.ts";
import type { PeerReport } from "../../src/probe/report.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import {
  type Issued,
  issue,
  issueCa,
  issueList,
  type Issuing,
  NAMES,
  nameConstraints,
  PURPOSES,
  rsaKeys,
} from "../support/issuing.ts";
import { CLIENTS, chainOf, keyOf, probeContext, rawPeer, ROOT, SERVER, shows, tlsPeer } from "./peers.ts";

const DAY = 86_400_000;
const { dns, uri } = NAMES;
const MIDDLE = issueCa({ subject: "middle", by: CLIENTS });
const OTHER = issueCa({ subject: "stranger" });

function clientOf(options: Issuing = {}): Issued {
  return issue({ by: CLIENTS, subject: "alice", names: [dns("alice.example")], ...options });
}

interface Served {
  readonly mode?: ClientAuth["mode"];
  readonly rules?: PeerRules;
  readonly lists?: readonly string[];
}

/** The part of a client of a.example; `port`: where the gateway runs, else nobody is dialled. */
async function met(
  chain: readonly Issued[] | null,
  { mode = "required", rules, lists }: Served = {},
  {
    port,
    trusts = [ROOT],
    behindProxy = false,
  }: { readonly port?: number; readonly trusts?: readonly Issued[]; readonly behindProxy?: boolean } = {},
): Promise<PeerReport> {
  const store = new CredentialStore(systemClock);
  const origin = { subject: { kind: "Secret", namespace: "default", name: "edge" } };
  store.offer(
    "secret/default/edge",
    {
      certificateChain: chainOf(SERVER),
      privateKey: keyOf(SERVER),
      trustAnchors: chainOf(CLIENTS),
      ...(lists === undefined || lists.length === 0 ? {} : { crl: lists.join("") }),
    },
    origin,
  );
  const revocation = { crl: "secret/default/edge", policy: "require" as const };
  const all = { ...rules, ...(lists === undefined ? {} : { revocation }) };
  try {
    return await probeListener(
      {
        domain: "peer.example",
        domains: ["peer.example"],
        origin: "tlscontext/default/edge",
        tls: {
          mode: "terminate",
          credential: "secret/default/edge",
          clients: mode === "none" ? { mode } : { mode, trust: "secret/default/edge", rules: all },
          parameters: { minVersion: "v1.2", maxVersion: "v1.3", cipherSuites: [], groups: [], alpn: [] },
        },
        endpoint: port === undefined ? null : { address: "127.0.0.1", port },
        behindProxy,
        mustAnswer: true,
        serverName: "peer.example",
      },
      {
        chain: chain === null ? null : chainOf(...chain),
        key: chain === null ? null : keyOf(chain[0] as Issued),
        anchors: trusts.map(({ pem }) => pem),
      },
      probeContext(store),
    );
  } finally {
    store.close();
  }
}

const CASES: readonly (readonly [
  what: string,
  chain: () => readonly Issued[],
  reason: HandshakeReason,
  says: RegExp,
  served?: (chain: readonly Issued[]) => Served,
  change?: RegExp,
])[] = [
  [
    "past its end",
    () => [clientOf({ notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) })],
    "certificate_expired",
    /CN=alice .* expired at/,
  ],
  [
    "not valid yet",
    () => [clientOf({ notBefore: new Date(Date.now() + DAY) })],
    "certificate_not_yet_valid",
    /CN=alice .* is not valid before/,
  ],
  [
    "of an unknown CA",
    () => [clientOf({ by: OTHER }), OTHER],
    "issuer_unknown",
    /CN=stranger/,
    () => ({}),
    /secret\/default\/edge#ca\.crt add the CA CN=stranger/,
  ],
  [
    "without its intermediate",
    () => [clientOf({ by: MIDDLE, authorityKey: "key-and-serial" })],
    "intermediate_missing",
    /issued by CN=middle, which was not sent/,
  ],
  ["that is self-signed", () => [issue({ subject: "alone" })], "self_signed_leaf", /CN=alone/],
  [
    "for another name than verify.dns_names",
    () => [clientOf()],
    "name_mismatch",
    /alice\.example/,
    () => ({ rules: { identities: { dnsNames: ["bob.example"] } } }),
    /tlscontext\/default\/edge#verify verify\.dns_names: add alice\.example/,
  ],
  [
    "of another SPIFFE ID",
    () => [clientOf({ names: [uri("spiffe://prod.example/alice")] })],
    "spiffe_id_mismatch",
    /spiffe:\/\/prod\.example\/alice/,
    () => ({ rules: { identities: { trustDomains: ["other.example"] } } }),
    /tlscontext\/default\/edge#verify verify\.trust_domains: add prod\.example, if that client may come/,
  ],
  [
    "whose key is not pinned",
    () => [clientOf()],
    "pin_mismatch",
    /CN=alice/,
    () => ({ rules: { spkiSha256: ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] } }),
    /verify\.spki_sha256: add [A-Za-z0-9+/]{43}=/,
  ],
  [
    "meant for servers",
    () => [clientOf({ extendedKeyUsage: [PURPOSES.server] })],
    "purpose_wrong",
    /CN=alice/,
  ],
  [
    "issued by what is no CA",
    () => {
      const person = clientOf({ subject: "person" });
      return [clientOf({ by: person }), person];
    },
    "issuer_not_ca",
    /CN=person .* is no CA/,
  ],
  [
    "below a CA that may have none below it",
    () => {
      const narrow = issueCa({ subject: "narrow", by: CLIENTS, pathLength: 0 });
      const below = issueCa({ subject: "below", by: narrow });
      return [clientOf({ by: below }), below, narrow];
    },
    "path_too_long",
    /CN=narrow/,
  ],
  [
    "outside of what its CA may name",
    () => {
      const extensions = [nameConstraints([dns("elsewhere.example")])];
      const narrow = issueCa({ subject: "narrow", by: CLIENTS, extensions });
      return [clientOf({ by: narrow }), narrow];
    },
    "name_constraint",
    /alice\.example/,
  ],
  ["with a weak key", () => [clientOf({ keys: rsaKeys(1024) })], "key_weak", /RSA key of 1024 bits/],
  [
    "with a weak signature",
    () => {
      const rsa = issueCa({ subject: "rsa", by: CLIENTS, keys: rsaKeys() });
      return [clientOf({ by: rsa, hash: "sha1" }), rsa];
    },
    "signature_weak",
    /CN=alice .* is signed by/,
  ],
  [
    "over more intermediates than max_depth",
    () => [clientOf({ by: MIDDLE }), MIDDLE],
    "chain_too_deep",
    /CN=/,
    () => ({ rules: { maxDepth: 0 } }),
  ],
  [
    "that is revoked",
    () => [clientOf()],
    "revoked",
    /revoked/,
    ([leaf]) => ({ lists: [issueList({ by: CLIENTS, revoked: [leaf as Issued] })] }),
  ],
  [
    "of a CA without a list",
    () => [clientOf({ by: MIDDLE }), MIDDLE],
    "crl_missing",
    /no revocation list/,
    () => ({ lists: [issueList({ by: CLIENTS })] }),
  ],
  [
    "of a CA with a stale list",
    () => [clientOf()],
    "crl_stale",
    /latest revocation list/,
    () => ({
      lists: [
        issueList({
          by: CLIENTS,
          thisUpdate: new Date(Date.now() - 9 * DAY),
          nextUpdate: new Date(Date.now() - DAY),
        }),
      ],
    }),
  ],
];

for (const [what, chain, reason, says, served, change] of CASES)
  test(`a client's certificate ${what}: ${reason}`, async () => {
    const shown = chain();
    const { verdict, steps, client } = await met(shown, served?.(shown));
    assert.equal(verdict.reason, reason, verdict.says);
    assert.equal(verdict.step, "client");
    assert.equal(verdict.remedy, explainClient(reason).remedy);
    assert.match(verdict.says, says);
    assert.equal(steps.find(({ step }) => step === "client")?.status, "failed");
    assert.equal(client?.certificates.length, shown.length);
    assert.ok(client.checks.some(({ fault }) => fault === reason));
    if (change !== undefined)
      assert.match(verdict.change.map(({ place, says: what }) => `${place} ${what}`).join("\n"), change);
  });

test("no certificate, where one is required, asked for, and neither", async () => {
  const required = await met(null);
  assert.equal(required.verdict.reason, "client_certificate_missing");
  assert.equal(required.verdict.step, "client");
  assert.match(required.verdict.change[0]?.place ?? "", /tlscontext\/default\/edge#cert_required/);
  assert.ok((await met(null, { mode: "optional" })).verdict.good);
  assert.ok((await met(null, { mode: "none" })).verdict.good);
});

/** A listener that is no gateway of ours: what a client sees of it is the same. */
function listener(t: TestContext, ca: Issued, server: Issued = SERVER): Promise<number> {
  return tlsPeer(t, { ...shows(server), ca: chainOf(ca), requestCert: true, rejectUnauthorized: true });
}

test("a refusal that the resources explain is told once, with the fault that they name", async (t) => {
  const port = await listener(t, CLIENTS);
  const { verdict, accepted } = await met([clientOf({ by: OTHER })], {}, { port });
  assert.equal(verdict.reason, "issuer_unknown");
  assert.deepEqual(verdict.also, []);
  assert.equal(accepted, false);
});

test("what answers and does otherwise than the resources say is another's, and that is said", async (t) => {
  const refusing = await met([clientOf()], {}, { port: await listener(t, OTHER) });
  assert.equal(refusing.verdict.reason, "client_certificate_refused");
  assert.match(refusing.verdict.notes.join(), /by these resources the client would be taken/);
  const taking = await met([clientOf({ by: OTHER })], {}, { port: await listener(t, OTHER) });
  assert.equal(taking.verdict.reason, "issuer_unknown");
  assert.match(taking.verdict.notes.join(), /accepts the client all the same/);
  const strange = issue({ by: ROOT, subject: "strange", names: [dns("peer.example")] });
  const shown = await met([clientOf()], {}, { port: await listener(t, CLIENTS, strange) });
  assert.ok(shown.verdict.good);
  assert.match(shown.verdict.notes.join(), /presents another certificate \(CN=strange/);
});

test("what a client has against the listener's certificate is mended by the listener's", async (t) => {
  const port = await listener(t, CLIENTS);
  const { verdict } = await met([clientOf()], {}, { port, trusts: [OTHER] });
  assert.equal(verdict.reason, "issuer_unknown");
  assert.equal(verdict.step, "checks");
  assert.deepEqual(
    verdict.change.map(({ place, says }) => `${place} ${says}`),
    ["secret/default/edge#tls.crt a certificate for peer.example that clients take, and its chain"],
  );
});

test("a listener that takes nothing of what today's clients offer is told from its clients", async (t) => {
  const rsa = issue({ by: ROOT, subject: "rsa", keys: rsaKeys(), names: [dns("peer.example")] });
  const port = await tlsPeer(t, {
    ...shows(rsa),
    minVersion: "TLSv1",
    maxVersion: "TLSv1.1",
    ciphers: "DEFAULT:@SECLEVEL=0",
  });
  const { verdict } = await met(null, { mode: "none" }, { port });
  assert.equal(verdict.reason, "no_common_version", verdict.says);
  assert.match(verdict.change[0]?.place ?? "", /tlscontext\/default\/edge#max_tls_version/);
});

test("a staple of the listener is seen", async (t) => {
  const port = await tlsPeer(t, {
    ...shows(SERVER),
    ca: chainOf(CLIENTS),
    requestCert: true,
    rejectUnauthorized: true,
    onServer: (server) =>
      server.on("OCSPRequest", (_certificate, _issuer, done) => done(null, Buffer.from("staple"))),
  });
  const { steps } = await met([clientOf()], {}, { port });
  assert.match(steps.find(({ step }) => step === "hello")?.details.join() ?? "", /OCSP staple/);
});

test("a listener behind a load balancer is met with a PROXY header, as its Module asks", async (t) => {
  const behind = await listener(t, CLIENTS);
  const port = await rawPeer(t, (client) => {
    client.once("data", (bytes: Buffer) => {
      if (!bytes.toString("latin1").startsWith("PROXY UNKNOWN\r\n")) {
        client.destroy();
        return;
      }
      const server = connect(behind, "127.0.0.1").on("error", () => {});
      server.write(bytes.subarray(bytes.indexOf("\n") + 1));
      client.pipe(server).pipe(client);
    });
  });
  assert.equal((await met([clientOf()], {}, { port })).verdict.reason, "proxy_header_expected");
  const { verdict, accepted } = await met([clientOf()], {}, { port, behindProxy: true });
  assert.ok(verdict.good, verdict.says);
  assert.equal(accepted, true);
});
