import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { distinguishedName } from "../../../src/x509/certificate.ts";
import {
  ecKeys,
  type Issued,
  type Issuing,
  extension,
  issue,
  issueCa,
  NAMES,
  nameConstraints,
  rsaKeys,
} from "../../support/issuing.ts";
import { nothing } from "../../support/der.ts";

const DAY = 86_400_000;
const origin = { subject: { kind: "Secret", namespace: "default", name: "s" } };
const root = ca({ subject: "root" });
const middle = ca({ subject: "middle", by: root });
const stranger = ca({ subject: "stranger" });
const good = leaf({ subject: "good" });

let store: CredentialStore;

beforeEach(() => {
  store = new CredentialStore(systemClock);
});

function ca(options: Parameters<typeof issueCa>[0]): Issued {
  return issueCa({ notAfter: new Date(Date.now() + 60 * DAY), ...options });
}

function leaf(options: Issuing = {}): Issued {
  return issue({
    by: root,
    names: [NAMES.dns("a.example")],
    notAfter: new Date(Date.now() + 60 * DAY),
    ...options,
  });
}

function material(issued: Issued, above: readonly Issued[] = [], anchors: readonly Issued[] = [root]) {
  return {
    certificateChain: [issued, ...above].map(({ pem }) => pem).join(""),
    privateKey: keyOf(issued),
    ...(anchors.length === 0 ? {} : { trustAnchors: anchors.map(({ pem }) => pem).join("") }),
  };
}

function keyOf({ keys }: Issued): string {
  return keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

const inUse = (): string | undefined => store.credential("s")?.facts[0]?.subject;
const codes = (): string[] => store.diagnostics().map(({ code }) => code);

/** What a peer refuses, with the code that says so. */
const FAULTS: readonly (readonly [string, string, () => ReturnType<typeof material>])[] = [
  [
    "a key of another certificate",
    "private-key-mismatch",
    () => ({ ...material(leaf()), privateKey: keyOf(leaf()) }),
  ],
  ["an RSA key of 1024 bits", "certificate-key-weak", () => material(leaf({ keys: rsaKeys(1024) }))],
  ["a key on P-224", "certificate-key-weak", () => material(leaf({ keys: ecKeys("P-224") }))],
  [
    "a weak key above it",
    "certificate-key-weak",
    () => {
      const weak = ca({ subject: "weak", by: root, keys: rsaKeys(1024) });
      return material(leaf({ by: weak }), [weak]);
    },
  ],
  [
    "a signature with SHA-1",
    "certificate-signature-weak",
    () => material(leaf({ by: middle, hash: "sha1" }), [middle]),
  ],
  [
    "an extended key usage for mail alone",
    "certificate-purpose",
    () => material(leaf({ extendedKeyUsage: ["1.3.6.1.5.5.7.3.4"] })),
  ],
  [
    "a CA that may not issue for TLS",
    "certificate-purpose",
    () => {
      const mail = ca({ subject: "mail", by: root, extendedKeyUsage: ["1.3.6.1.5.5.7.3.4"] });
      return material(leaf({ by: mail }), [mail]);
    },
  ],
  [
    "an issuer that is no CA",
    "certificate-chain-invalid",
    () => {
      const other = leaf({ subject: "no CA" });
      return material(leaf({ by: other }), [other]);
    },
  ],
  [
    "more CAs than one of them allows",
    "certificate-chain-invalid",
    () => {
      const upper = ca({ subject: "upper", by: root, pathLength: 0 });
      const lower = ca({ subject: "lower", by: upper });
      return material(leaf({ by: lower }), [lower, upper]);
    },
  ],
  [
    "a name that its CA may not vouch for",
    "certificate-chain-invalid",
    () => {
      const other = ca({
        subject: "other",
        by: root,
        extensions: [nameConstraints([NAMES.dns("other.example")])],
      });
      return material(leaf({ by: other }), [other]);
    },
  ],
  [
    "a critical extension that nobody knows",
    "certificate-chain-invalid",
    () => material(leaf({ extensions: [extension("1.3.6.1.4.1.99999.1", nothing, true)] })),
  ],
];

/** What some peers refuse: served where there is nothing else, never instead of what lacks it. */
const FLAWS: readonly (readonly [string, string, () => ReturnType<typeof material>])[] = [
  ["an issuer that is not beside it", "certificate-chain-broken", () => material(leaf({ by: stranger }))],
  ["a missing intermediate", "certificate-chain-broken", () => material(leaf({ by: middle }))],
  ["the mark of a CA", "certificate-is-ca", () => material(leaf({ ca: true, keyUsage: null }))],
  ["no names", "certificate-without-san", () => material(leaf({ names: [] }))],
  [
    "a key usage without digitalSignature",
    "certificate-purpose",
    () => material(leaf({ keyUsage: ["keyCertSign"] })),
  ],
];

describe("a certificate with", () => {
  for (const [what, code, make] of FAULTS)
    it(`${what}: is not published, and never in the place of a good one`, () => {
      const bad = make();
      store.offer("s", bad, origin);
      assert.equal(inUse(), undefined);
      assert.deepEqual([codes()[0], store.diagnostics()[0]?.effect], [code, "route-fails-closed"]);
      assert.deepEqual(store.statuses.credential("s")?.usable, false);
      store.offer("s", material(good), origin);
      store.offer("s", bad, origin);
      assert.equal(inUse(), "CN=good");
      assert.deepEqual(
        [codes(), store.diagnostics()[0]?.effect],
        [[code, "credential-kept-previous"], "kept-previous"],
      );
      assert.match(store.diagnostics()[0]?.message ?? "", /\(serial [0-9a-f]+, SHA-256 [0-9a-f]{64}\)/);
    });

  for (const [what, code, make] of FLAWS)
    it(`${what}: is published with a warning, and never in the place of a good one`, () => {
      const flawed = make();
      store.offer("s", flawed, origin);
      assert.equal(store.credential("s")?.generation, 1);
      const [warning] = store.diagnostics();
      assert.deepEqual([warning?.code, warning?.severity], [code, "warning"]);
      assert.match(warning?.message ?? "", /\(serial [0-9a-f]+, SHA-256 [0-9a-f]{64}\)/);
      // A good one may replace it, and it may not come back.
      store.offer("s", material(good), origin);
      store.offer("s", flawed, origin);
      assert.equal(inUse(), "CN=good");
      assert.deepEqual(
        [codes(), store.diagnostics()[0]?.effect],
        [[code, "credential-kept-previous"], "kept-previous"],
      );
      // What is no better may be replaced by its like.
      store.remove("s");
      store.offer("s", flawed, origin);
      store.offer("s", make(), origin);
      assert.equal(codes().includes("credential-kept-previous"), false);
    });

  it("an end that has come: is not taken for a good one", () => {
    store.offer("s", material(good), origin);
    const old = leaf({ notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) });
    store.offer("s", material(old), origin);
    assert.equal(inUse(), "CN=good");
    assert.deepEqual(codes(), ["certificate-expired", "credential-kept-previous"]);
    assert.match(store.diagnostics()[0]?.message ?? "", /^CN=leaf \(serial .* of s expired at/);
  });

  it("a shorter life is no worse", () => {
    store.offer("s", material(good), origin);
    store.offer("s", material(leaf({ subject: "brief", notAfter: new Date(Date.now() + DAY) })), origin);
    assert.equal(inUse(), "CN=brief");
  });

  it("its chain not in order: has it put in order", () => {
    const issued = leaf({ by: middle });
    const { certificateChain, ...rest } = material(issued, [middle]);
    const blocks = certificateChain.split(/(?<=-----END CERTIFICATE-----\n)/);
    store.offer("s", { ...rest, certificateChain: blocks.reverse().join("") }, origin);
    assert.equal(store.credential("s")?.certificateChain, certificateChain);
    assert.deepEqual(codes(), ["certificate-chain-reordered"]);
  });
});

describe("a CA beside a certificate", () => {
  it("that is mended lets the certificate in without a second offer of it", () => {
    store.offer("s", material(good), origin);
    const next = leaf({ subject: "next", by: stranger });
    store.offer("s", material(next), origin);
    assert.equal(inUse(), "CN=good");
    store.offer("s", material(next, [], [root, stranger]), origin);
    assert.equal(inUse(), "CN=next");
    assert.deepEqual(codes(), []);
  });

  it("that changes alone makes no new generation of the certificate", () => {
    store.offer("s", material(good), origin);
    store.offer("s", material(good, [], [root, stranger]), origin);
    assert.equal(store.credential("s")?.generation, 1);
    store.offer("s", material(good, [], [stranger]), origin);
    assert.equal(store.credential("s")?.generation, 1);
    assert.deepEqual(codes(), ["certificate-chain-broken"]);
  });

  it("that has expired as a whole does not replace one that has not", () => {
    const dates = { notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) };
    store.offer("s", { trustAnchors: root.pem }, origin);
    store.offer("s", { trustAnchors: ca({ subject: "old", ...dates }).pem }, origin);
    assert.deepEqual(
      store.trust("s")?.facts.map(({ subject }) => distinguishedName(subject)),
      ["CN=root"],
    );
    assert.deepEqual(codes().slice(0, 2), ["certificate-expired", "credential-kept-previous"]);
  });
});

it("a worse certificate takes over when the good one has ended: it is better than nothing", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  const clocked = new CredentialStore(systemClock);
  const short = leaf({ subject: "short", notAfter: new Date(Date.now() + 3_600_000) });
  clocked.offer("s", material(short), origin);
  clocked.offer("s", material(leaf({ subject: "nameless", names: [] })), origin);
  assert.equal(clocked.credential("s")?.facts[0]?.subject, "CN=short");
  for (let minutes = 0; minutes < 62; minutes++) context.mock.timers.tick(60_000);
  assert.equal(clocked.credential("s")?.facts[0]?.subject, "CN=nameless");
  clocked.close();
});
