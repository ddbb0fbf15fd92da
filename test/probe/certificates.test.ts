import assert from "node:assert/strict";
import { test } from "node:test";
import type { HandshakeReason } from "../../src/diagnostics/handshake.ts";
import { HANDSHAKE_REASONS } from "../../src/diagnostics/handshake.ts";
import {
  ecKeys,
  issue,
  issueCa,
  issueList,
  NAMES,
  nameConstraints,
  PURPOSES,
  rsaKeys,
  type Issued,
} from "../support/issuing.ts";
import { flawedPeers } from "../support/flawed-peers.ts";
import { type Gateway, probePort, ROOT, serverOf, shows, tlsPeer } from "./peers.ts";

const DAY = 86_400_000;
const { dns, uri } = NAMES;

interface Case {
  readonly what: string;
  readonly chain: () => readonly [Issued, ...Issued[]];
  readonly gateway?: (chain: readonly Issued[]) => Gateway;
  readonly reason: HandshakeReason;
  readonly check: string;
  readonly says: RegExp;
  /** What is to be changed in the resources. */
  readonly change?: RegExp;
}

const MIDDLE = issueCa({ subject: "middle", by: ROOT });
const OTHER = issueCa({ subject: "stranger" });

const CASES: readonly Case[] = [
  {
    what: "past its end",
    chain: () => [
      serverOf({ notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) }),
    ],
    reason: "certificate_expired",
    check: "dates",
    says: /CN=server .* expired at \d{4}-/,
  },
  {
    what: "not valid yet",
    chain: () => [
      serverOf({ notBefore: new Date(Date.now() + DAY), notAfter: new Date(Date.now() + 9 * DAY) }),
    ],
    reason: "certificate_not_yet_valid",
    check: "dates",
    says: /CN=server .* is not valid before \d{4}-/,
  },
  {
    what: "of a CA that nobody has given",
    chain: () => [serverOf({ by: OTHER }), OTHER],
    reason: "issuer_unknown",
    check: "chain",
    says: /CN=stranger/,
    change: /^secret\/default\/up#ca\.crt add the CA CN=stranger$/m,
  },
  {
    what: "without its intermediate",
    chain: () => [serverOf({ by: MIDDLE, authorityKey: "key-and-serial" })],
    reason: "intermediate_missing",
    check: "chain",
    says: /issued by CN=middle, which was not sent/,
  },
  {
    what: "self-signed",
    chain: () => [issue({ subject: "alone", names: [dns("peer.example")] })],
    reason: "self_signed_leaf",
    check: "chain",
    says: /CN=alone .* is self-signed/,
    change: /^secret\/default\/up#ca\.crt add the certificate itself, SHA-256 [0-9a-f]{64}$/m,
  },
  {
    what: "for another name",
    chain: () => [serverOf({ names: [dns("other.example")] })],
    reason: "name_mismatch",
    check: "name",
    says: /is not for peer\.example but for other\.example/,
    change:
      /^tlscontext\/default\/up#sni sni: other\.example, or verify: \{ dns_names: \[other\.example\] \}$/m,
  },
  {
    what: "for none of the names that are expected instead of the one that is dialled",
    chain: () => [serverOf({ names: [dns("other.example")] })],
    gateway: () => ({ rules: { identities: { dnsNames: ["expected.example"] } } }),
    reason: "name_mismatch",
    check: "name",
    says: /other\.example/,
    change:
      /^tlscontext\/default\/up#verify verify\.dns_names: add other\.example, if that is who should answer$/m,
  },
  {
    what: "of another SPIFFE ID",
    chain: () => [serverOf({ names: [uri("spiffe://prod.example/ns/a/sa/b")] })],
    gateway: () => ({ rules: { identities: { spiffeIds: ["spiffe://prod.example/ns/a/sa/c"] } } }),
    reason: "spiffe_id_mismatch",
    check: "name",
    says: /spiffe:\/\/prod\.example\/ns\/a\/sa\/b/,
    change:
      /^tlscontext\/default\/up#verify verify\.spiffe_ids: add spiffe:\/\/prod\.example\/ns\/a\/sa\/b, if that is who should answer$/m,
  },
  {
    what: "with a key that is not pinned",
    chain: () => [serverOf()],
    gateway: () => ({ rules: { spkiSha256: ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] } }),
    reason: "pin_mismatch",
    check: "pin",
    says: /CN=server/,
    change: /^tlscontext\/default\/up#verify verify\.spki_sha256: add [A-Za-z0-9+/]{43}=/m,
  },
  {
    what: "meant for clients",
    chain: () => [serverOf({ extendedKeyUsage: [PURPOSES.client] })],
    reason: "purpose_wrong",
    check: "purpose",
    says: /CN=server/,
  },
  {
    what: "issued by what is no CA",
    chain: () => {
      const leaf = serverOf({ subject: "no CA" });
      return [serverOf({ by: leaf }), leaf];
    },
    reason: "issuer_not_ca",
    check: "issuers",
    says: /CN=no CA .* is no CA/,
  },
  {
    what: "below a CA that may have none below it",
    chain: () => {
      const narrow = issueCa({ subject: "narrow", by: ROOT, pathLength: 0 });
      const below = issueCa({ subject: "below", by: narrow });
      return [serverOf({ by: below }), below, narrow];
    },
    reason: "path_too_long",
    check: "issuers",
    says: /CN=narrow/,
  },
  {
    what: "over more intermediates than max_depth",
    chain: () => [serverOf({ by: MIDDLE }), MIDDLE],
    gateway: () => ({ rules: { maxDepth: 0 } }),
    reason: "chain_too_deep",
    check: "depth",
    says: /CN=/,
    change: /^tlscontext\/default\/up#verify verify\.max_depth/m,
  },
  {
    what: "outside of what its CA may name",
    chain: () => {
      const narrow = issueCa({
        subject: "narrow",
        by: ROOT,
        extensions: [nameConstraints([dns("elsewhere.example")])],
      });
      return [serverOf({ by: narrow }), narrow];
    },
    reason: "name_constraint",
    check: "issuers",
    says: /peer\.example/,
  },
  {
    what: "with a weak key",
    chain: () => [serverOf({ keys: rsaKeys(1024) })],
    reason: "key_weak",
    check: "strength",
    says: /RSA key of 1024 bits/,
  },
  {
    what: "with a weak signature",
    chain: () => {
      const rsa = issueCa({ subject: "rsa", by: ROOT, keys: rsaKeys() });
      return [serverOf({ by: rsa, hash: "sha1" }), rsa];
    },
    reason: "signature_weak",
    check: "strength",
    says: /CN=server .* is signed by/,
  },
  {
    what: "signed by another key of that name",
    chain: () => {
      const forged = issueCa({ subject: "middle", by: ROOT, keys: ecKeys() });
      return [
        serverOf({ by: { ...MIDDLE, keys: { ...MIDDLE.keys, privateKey: forged.keys.privateKey } } }),
        MIDDLE,
      ];
    },
    reason: "signature_invalid",
    check: "chain",
    says: /CN=server .* has a signature that is not by CN=middle/,
  },
  {
    what: "that its CA has revoked",
    chain: () => [serverOf()],
    gateway: ([leaf]) => ({ lists: [issueList({ by: ROOT, revoked: [leaf as Issued] })] }),
    reason: "revoked",
    check: "revocation",
    says: /CN=server .* revoked/,
  },
  {
    what: "of a CA that there is no list of",
    chain: () => [serverOf({ by: MIDDLE }), MIDDLE],
    gateway: () => ({ lists: [issueList({ by: ROOT })] }),
    reason: "crl_missing",
    check: "revocation",
    says: /CN=server .* CN=middle.*, of which there is no revocation list/,
    change: /^tlscontext\/default\/up#verify verify\.crl_file or crl_secret/m,
  },
  {
    what: "of a CA whose list is past its nextUpdate",
    chain: () => [serverOf()],
    gateway: () => ({
      lists: [
        issueList({
          by: ROOT,
          thisUpdate: new Date(Date.now() - 9 * DAY),
          nextUpdate: new Date(Date.now() - DAY),
        }),
      ],
    }),
    reason: "crl_stale",
    check: "revocation",
    says: /CN=server .* latest revocation list/,
    change: /^tlscontext\/default\/up#verify .*crl_policy: allow-stale/m,
  },
];

for (const { what, chain, gateway, reason, check, says, change } of CASES)
  test(`a server's certificate ${what}: ${reason}`, async (t) => {
    const shown = chain();
    // Weak ones are refused by OpenSSL's own default, on the server's side.
    const port = await tlsPeer(t, { ...shows(...shown), ciphers: "DEFAULT:@SECLEVEL=0" });
    const report = await probePort(port, gateway?.(shown));
    const { verdict, checks, steps } = report;
    assert.equal(verdict.reason, reason, verdict.says);
    assert.equal(verdict.step, "checks");
    assert.match(verdict.says, says);
    assert.equal(verdict.remedy, HANDSHAKE_REASONS[reason].remedy);
    assert.equal(checks.find((each) => each.check === check)?.status, "failed");
    assert.equal(steps.find(({ step }) => step === "checks")?.status, "failed");
    // All before it went well, and the certificate is shown whatever is wrong with it.
    assert.deepEqual(
      steps.slice(0, 6).map(({ step, status }) => [step, status]),
      ["credential", "dns", "connect", "offer", "hello", "request"].map((step) => [step, "ok"]),
    );
    assert.equal(report.certificates.length, shown.length);
    if (change !== undefined)
      assert.match(verdict.change.map(({ place, says: what }) => `${place} ${what}`).join("\n"), change);
  });

const { flawed } = flawedPeers();

for (const { check, fault, chain, anchors, lists, rules } of flawed)
  test(`docs/verification.md: ${check}: ${fault}`, async (t) => {
    const port = await tlsPeer(t, {
      ...shows(...(chain as [Issued, ...Issued[]])),
      ciphers: "DEFAULT:@SECLEVEL=0",
    });
    const { verdict, steps } = await probePort(port, {
      trust: anchors,
      ...(lists === undefined ? {} : { lists }),
      ...(rules === undefined ? {} : { rules }),
      domains: rules?.domains,
    });
    assert.equal(verdict.reason, fault, verdict.says);
    assert.equal(steps.find(({ step }) => step === verdict.step)?.status, "failed");
    // A key that is good for no signature of TLS ends the handshake before it is seen.
    assert.equal(verdict.step, check.startsWith("EC keys") ? "hello" : "checks");
  });

test("a good certificate: every check says so, and nothing is to be changed", async (t) => {
  const port = await tlsPeer(t, shows(serverOf({ by: MIDDLE }), MIDDLE));
  const { verdict, checks, negotiated } = await probePort(port);
  assert.ok(verdict.good, verdict.says);
  assert.deepEqual(verdict.change, []);
  assert.deepEqual(
    checks.filter(({ status }) => status === "ok").map((each) => each.check),
    ["chain", "dates", "strength", "issuers", "purpose", "name"],
  );
  assert.match(checks[0]?.says ?? "", /2 steps up to CN=peers' root/);
  assert.equal(negotiated?.version, "TLS 1.3");
  assert.equal(negotiated?.group, "X25519MLKEM768");
  assert.equal(negotiated?.resumes, true);
});

test("a server that sends a whole bundle: some of it is shown, and what is no part of its chain does not count", async (t) => {
  const past = { notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) };
  const bundle = Array.from({ length: 20 }, (_, index) => issueCa({ subject: `other ${index}`, ...past }));
  const { verdict, steps, checks, certificates } = await probePort(
    await tlsPeer(t, shows(serverOf(), ...bundle)),
  );
  assert.ok(verdict.good, verdict.says);
  assert.equal(certificates.length, 21);
  const shown = steps.find(({ step }) => step === "certificate")?.details ?? [];
  assert.ok(shown.length < 60, `${shown.length} lines`);
  assert.match(shown.at(-1) ?? "", /^and 13 more/);
  const until = certificates[0]?.notAfter ?? 0;
  assert.equal(
    checks.find(({ check }) => check === "dates")?.says,
    `good until ${new Date(until).toISOString().slice(0, 10)}`,
  );
});

test("several things that are wrong are all told, the one that decides first", async (t) => {
  const expired = { notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) };
  const port = await tlsPeer(t, shows(serverOf({ ...expired, by: OTHER, names: [dns("other.example")] })));
  const { verdict, checks } = await probePort(port);
  assert.equal(verdict.reason, "issuer_unknown");
  assert.deepEqual(
    verdict.also.map(({ reason }) => reason),
    ["certificate_expired", "name_mismatch"],
  );
  // Each is mended by itself: another CA is of no use to a name.
  const mended = [verdict, ...verdict.also].map(({ change }) => change.map(({ field }) => field).join());
  assert.deepEqual(mended, ["ca.crt,ca_secret", "", "sni"]);
  assert.deepEqual(
    checks.filter(({ status }) => status === "failed").map((each) => each.check),
    ["chain", "dates", "name"],
  );
});

test("without a CA nothing is verified: it is said what would be wrong, and the handshake is good", async (t) => {
  const port = await tlsPeer(t, shows(serverOf({ names: [dns("other.example")] })));
  const { verdict, steps, checks } = await probePort(port, { trust: null, name: "peer.example" });
  assert.ok(verdict.good);
  assert.match(verdict.says, /nobody has verified the peer/);
  assert.equal(steps.find(({ step }) => step === "checks")?.status, "warning");
  assert.equal(checks.find(({ check }) => check === "name")?.fault, "name_mismatch");
});

test("where OpenSSL by itself and Envoy judge otherwise is noted", async (t) => {
  const silent = serverOf({ keyUsage: ["keyEncipherment"] });
  const alone = await probePort(await tlsPeer(t, { ...shows(silent), ciphers: "DEFAULT:@SECLEVEL=0" }));
  assert.equal(alone.verdict.reason, "purpose_wrong");
  assert.match(alone.verdict.notes.join("\n"), /OpenSSL by itself would take this chain/);
  const weak = serverOf({ keys: rsaKeys(1024) });
  const passed = await probePort(await tlsPeer(t, { ...shows(weak), ciphers: "DEFAULT:@SECLEVEL=0" }));
  assert.match(
    passed.verdict.notes.join("\n"),
    /with the envoy engine the peer may be taken: Envoy takes RSA keys/,
  );
  const sound = await probePort(await tlsPeer(t, shows(serverOf())), {
    rules: { maxDepth: 3 },
    parameters: { groups: ["X448", "P-256"] },
  });
  assert.ok(sound.verdict.good);
  const closed = await probePort(await tlsPeer(t, shows(serverOf({ by: MIDDLE }), MIDDLE)), {
    rules: { maxDepth: 0 },
  });
  assert.equal(closed.verdict.reason, "chain_too_deep");
  assert.equal(closed.verdict.notes.filter((note) => note.includes("envoy engine")).length, 1);
  assert.match(sound.verdict.notes.join("\n"), /Envoy has no key exchange group X448/);
  assert.match(sound.verdict.notes.join("\n"), /this context is closed: Envoy takes a maximum depth/);
});
