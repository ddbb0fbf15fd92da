import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CredentialChange } from "../../../src/credentials/credential.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { createAuthority } from "../../../src/x509/authority.ts";
import { handClock } from "../../support/clock.ts";

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
