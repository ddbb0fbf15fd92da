import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CredentialChange } from "../../../src/credentials/credential.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { createAuthority } from "../../../src/x509/authority.ts";
import { handClock } from "../../support/clock.ts";
import { issue, issueCa, issueList } from "../../support/issuing.ts";

const ORIGIN = { subject: { kind: "Secret", namespace: "default", name: "crl" } };
const DAY_MS = 24 * 3_600_000;

async function setup() {
  const clock = handClock();
  const store = new CredentialStore(clock);
  const changes: string[] = [];
  store.onChange(({ kind, event }: CredentialChange) => changes.push(`${kind} ${event}`));
  const authority = await createAuthority("lists");
  const offer = (crl: string): void => store.offer("crl", { crl }, ORIGIN);
  const codes = (): string[] => store.diagnostics().map(({ code }) => code);
  return { clock, store, changes, authority, offer, codes };
}

describe("revocation lists in the store", () => {
  it("are published with a generation, rotate, and are withdrawn", async () => {
    const { store, changes, authority, offer, codes } = await setup();
    offer(await authority.revoke(["01"]));
    assert.equal(store.crl("crl")?.generation, 1);
    assert.equal(store.crl("crl")?.lists.facts[0]?.revoked, 1);
    offer(await authority.revoke(["01", "02"], { thisUpdate: new Date(Date.now() + 1000) }));
    assert.equal(store.crl("crl")?.generation, 2);
    assert.equal(store.crl("crl")?.lists.facts[0]?.revoked, 2);
    assert.deepEqual(codes(), []);
    store.remove("crl");
    assert.equal(store.crl("crl"), undefined);
    assert.deepEqual(changes, ["crl usable", "crl rotated", "crl unusable"]);
  });

  it("are no credential and no trust bundle", async () => {
    const { store, authority, offer } = await setup();
    offer(await authority.revoke([]));
    assert.equal(store.credential("crl"), undefined);
    assert.equal(store.trust("crl"), undefined);
    assert.deepEqual(
      store.all().map(({ kind, lists }) => [kind, lists?.length]),
      [["crl", 1]],
    );
  });

  it("stay when what comes cannot be read, is no list, or is an older one", async () => {
    const { store, authority, offer, codes } = await setup();
    const old = await authority.revoke([], { thisUpdate: new Date(Date.now() - DAY_MS) });
    offer(await authority.revoke(["01"]));
    for (const [bad, code] of [
      ["no PEM", "crl-invalid"],
      ["", "crl-invalid"],
      [authority.certificate, "crl-invalid"],
      ["-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n", "crl-invalid"],
      [old, "crl-older"],
    ] as const) {
      offer(bad);
      assert.equal(store.crl("crl")?.generation, 1, code);
      assert.deepEqual(codes().sort(), [code, "credential-kept-previous"].sort());
    }
  });

  it("that are stale stay too, since they still say who is revoked; it is found when the time comes", async () => {
    const { clock, store, authority, offer, codes } = await setup();
    let told = 0;
    store.onFindings(() => told++);
    offer(await authority.revoke(["01"], { nextUpdate: new Date(clock.now() + DAY_MS) }));
    assert.deepEqual(codes(), []);
    const before = told;
    clock.move(DAY_MS + 60_000);
    assert.ok(told > before, "whoever listens is told");
    assert.deepEqual(codes(), ["crl-stale"]);
    assert.equal(store.crl("crl")?.generation, 1);
    assert.equal(store.statuses.crl("crl")?.usable, true);
  });
});

describe("revocation lists of several CAs", () => {
  const [one, other] = [issueCa({ subject: "one CA" }), issueCa({ subject: "other CA" })];
  const [ofOne, ofOther] = [issue({ by: one }), issue({ by: other })];
  const at = (days: number): Date => new Date(Date.now() + days * DAY_MS);
  const revokedIn = (store: CredentialStore): string[] =>
    [...(store.crl("crl")?.lists.ofIssuer.values() ?? [])]
      .flat()
      .flatMap(({ revoked }) => [...revoked].map((serial) => Buffer.from(serial, "latin1").toString("hex")));
  const serialOf = ({ certificate }: typeof ofOne): string => certificate.serialNumber.toLowerCase();

  it("take each other's place CA by CA: an older one costs no other CA its newer one", async () => {
    const { store, offer, codes } = await setup();
    offer(
      issueList({ by: one, number: 5, revoked: [ofOne], thisUpdate: at(-1) }) +
        issueList({ by: other, number: 1 }),
    );
    for (const [older, what] of [
      [{ number: 6, thisUpdate: at(-2) }, "an older thisUpdate"],
      [{ number: 4, thisUpdate: at(-0.5) }, "a lower number"],
    ] as const) {
      const generation = store.crl("crl")?.generation ?? 0;
      const number = generation + 1;
      offer(issueList({ by: one, ...older }) + issueList({ by: other, number, revoked: [ofOther] }));
      assert.equal(store.crl("crl")?.generation, number, what);
      assert.deepEqual(revokedIn(store).sort(), [serialOf(ofOne), serialOf(ofOther)].sort(), what);
      assert.equal(store.crl("crl")?.pem.length, 2);
      assert.deepEqual(codes(), ["crl-older"], what);
    }
    offer(issueList({ by: one, number: 7 }) + issueList({ by: other, number: 9 }));
    assert.deepEqual([revokedIn(store), codes()], [[], []]);
  });

  it("a lower number takes the place of a list that is stale", async () => {
    const { store, offer, codes } = await setup();
    offer(issueList({ by: one, number: 5, thisUpdate: at(-3), nextUpdate: at(-2) }));
    offer(issueList({ by: one, number: 1, revoked: [ofOne] }));
    assert.deepEqual(revokedIn(store), [serialOf(ofOne)]);
    assert.deepEqual(codes(), []);
  });

  it("one that is left out stays while it is current, and no longer", async () => {
    const { clock, store, offer, codes } = await setup();
    const same = issueList({ by: other, number: 1 });
    offer(issueList({ by: one, revoked: [ofOne], nextUpdate: at(2) }) + same);
    offer(same);
    assert.equal(store.crl("crl")?.generation, 1);
    assert.deepEqual(codes().sort(), ["credential-kept-previous", "crl-left-out"]);
    offer(issueList({ by: other, number: 2 }));
    assert.equal(store.crl("crl")?.generation, 2);
    assert.deepEqual(revokedIn(store), [serialOf(ofOne)]);
    assert.deepEqual(codes(), ["crl-left-out"]);
    assert.match(store.diagnostics()[0]?.message ?? "", /CN=one CA/);
    clock.move(3 * DAY_MS);
    offer(issueList({ by: other, number: 3 }));
    assert.deepEqual([revokedIn(store), codes()], [[], []]);
  });

  it("a CA that was taken out of its bundle takes its list along, unless it is renewed there or trusted elsewhere", () => {
    const renewed = issueCa({ subject: "one CA", keys: one.keys });
    for (const [then, isKept] of [
      [other.pem, false],
      [other.pem + renewed.pem, true],
      [other.pem + one.pem, true],
    ] as const) {
      const store = new CredentialStore(handClock());
      const give = (trustAnchors: string, crl: string): void =>
        store.offer("crl", { trustAnchors, crl }, ORIGIN);
      const ofIt = issueList({ by: one, revoked: [ofOne] });
      give(one.pem, ofIt + issueList({ by: other, number: 1 }));
      give(then, issueList({ by: other, number: 2 }));
      assert.deepEqual(revokedIn(store), isKept ? [serialOf(ofOne)] : []);
      assert.deepEqual(
        store.diagnostics().map(({ code }) => code),
        isKept ? ["crl-left-out"] : [],
      );
    }
    const store = new CredentialStore(handClock());
    store.offer("elsewhere", { trustAnchors: one.pem }, ORIGIN);
    store.offer("crl", { trustAnchors: one.pem, crl: issueList({ by: one, revoked: [ofOne] }) }, ORIGIN);
    store.offer("crl", { trustAnchors: other.pem, crl: issueList({ by: other }) }, ORIGIN);
    assert.deepEqual(revokedIn(store), [serialOf(ofOne)]);
  });

  it("a CA is its name and key: names that print alike, or a new key, are another CA's", async () => {
    const { store, offer, codes } = await setup();
    const long = "x".repeat(300);
    const [a, b] = [issueCa({ subject: `${long}a` }), issueCa({ subject: `${long}b` })];
    const rekeyed = issueCa({ subject: "one CA" });
    offer(issueList({ by: a, thisUpdate: at(-1) }));
    offer(issueList({ by: a, thisUpdate: at(-1) }) + issueList({ by: b, thisUpdate: at(-2), number: 1 }));
    assert.equal(store.crl("crl")?.generation, 2);
    assert.deepEqual(codes(), []);
    store.remove("crl");
    offer(issueList({ by: one, number: 5, revoked: [ofOne], thisUpdate: at(-1) }));
    offer(issueList({ by: rekeyed, number: 1, thisUpdate: at(-2) }));
    assert.deepEqual(
      revokedIn(store),
      [serialOf(ofOne)],
      "what the old key signed is still about its certificates",
    );
    assert.deepEqual(codes(), ["crl-left-out"]);
  });

  it("each list that goes stale is found when its time comes", async () => {
    const { clock, offer, store, codes } = await setup();
    let told = 0;
    store.onFindings(() => told++);
    offer(issueList({ by: one, nextUpdate: at(-0.01) }) + issueList({ by: other, nextUpdate: at(1) }));
    assert.equal(codes().filter((code) => code === "crl-stale").length, 1);
    const before = told;
    clock.move(DAY_MS + 120_000);
    assert.ok(told > before, "whoever listens is told");
    assert.deepEqual(codes(), ["crl-stale", "crl-stale"]);
  });
});
