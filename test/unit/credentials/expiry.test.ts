import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_EXPIRY_WARNINGS, expirySeverity } from "../../../src/credentials/expiry.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { expiryWarnings } from "../../../src/cli/flag-values.ts";
import type { Clock } from "../../../src/telemetry/clock.ts";
import { issueCa, issueList } from "../../support/issuing.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

describe("how bad an end is that comes soon", () => {
  it("rises at 30 days, 7 days and 1 day, of what lives 90 days or more", () => {
    for (const [left, severity] of [
      [30 * DAY + 1, null],
      [30 * DAY, "info"],
      [7 * DAY, "warning"],
      [DAY + 1, "warning"],
      [DAY, "error"],
      [0, "error"],
    ] as const)
      for (const life of [90 * DAY, 365 * DAY])
        assert.equal(expirySeverity(0, life, life - left, DEFAULT_EXPIRY_WARNINGS), severity, `${left}`);
  });

  it("rises in the same parts of a shorter life", () => {
    const of = (life: number) => (left: number) =>
      expirySeverity(0, life, life - left, DEFAULT_EXPIRY_WARNINGS);
    const weeks = of(45 * DAY);
    assert.deepEqual([weeks(16 * DAY), weeks(15 * DAY), weeks(3 * DAY)], [null, "info", "warning"]);
    const day = of(DAY);
    assert.deepEqual([day(8 * HOUR), day(1.8 * HOUR), day(0.2 * HOUR)], [null, "warning", "error"]);
  });

  it("goes by the times that are set: one is a warning, of two the last is an error", () => {
    const at = (left: number, text: string) =>
      expirySeverity(0, 365 * DAY, 365 * DAY - left, expiryWarnings(text));
    assert.deepEqual([at(3 * DAY, "2d"), at(2 * DAY, "2d")], [null, "warning"]);
    assert.deepEqual([at(3 * DAY, "4d,12h"), at(12 * HOUR, "12h, 4d")], ["warning", "error"]);
    assert.equal(at(20 * DAY, "60d,30d,7d,1d"), "info");
  });

  it("is nothing where there is no end", () => {
    assert.equal(expirySeverity(0, Number.POSITIVE_INFINITY, 5, DEFAULT_EXPIRY_WARNINGS), null);
  });
});

describe("--expiry-warnings", () => {
  it("is read in days, hours and minutes", () => {
    assert.deepEqual(expiryWarnings("90m,1d,36h"), [36 * HOUR, DAY, 1.5 * HOUR]);
  });

  for (const text of ["", "30", "0d", "1w", "1d,,2d", "-1d", "1d 2d"])
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => expiryWarnings(text), /30d,7d,12h/);
    });
});

it("certificates, CA bundles and revocation lists are told of, more loudly as their end comes near", () => {
  let now = Date.now();
  const clock: Clock = { now: () => now, after: () => () => {} };
  const store = new CredentialStore(clock);
  const dates = { notBefore: new Date(now), notAfter: new Date(now + 100 * DAY) };
  const ca = issueCa({ subject: "root", ...dates });
  const privateKey = ca.keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const origin = { subject: { kind: "Secret", namespace: "default", name: "s" } };
  store.offer("leaf", { certificateChain: ca.pem, privateKey }, origin);
  store.offer("bundle", { trustAnchors: ca.pem }, origin);
  const crl = issueList({ by: ca, thisUpdate: dates.notBefore, nextUpdate: dates.notAfter });
  store.offer("lists", { crl }, origin);
  const severities = () =>
    store
      .diagnostics()
      .filter(({ code }) => code === "certificate-expires-soon" || code === "crl-stale-soon")
      .map(({ severity }) => severity);
  assert.deepEqual(severities(), []);
  for (const [day, severity] of [
    [70.5, "info"],
    [94, "warning"],
    [99.5, "error"],
  ] as const) {
    now = dates.notBefore.getTime() + day * DAY;
    assert.deepEqual(severities(), [severity, severity, severity], `day ${day}`);
  }
  const [leaf] = store.diagnostics().filter(({ code }) => code === "certificate-expires-soon");
  assert.match(
    leaf?.message ?? "",
    /^CN=root \(serial [0-9a-f]+, SHA-256 [0-9a-f]{64}\) of leaf expires at /,
  );
});

it("what is found of a credential stays the same object until time or an offer changes it", () => {
  const start = Date.now();
  let now = start + 94 * DAY;
  const clock: Clock = { now: () => now, after: () => () => {} };
  const store = new CredentialStore(clock);
  const ca = issueCa({
    subject: "root",
    notBefore: new Date(start),
    notAfter: new Date(start + 100 * DAY),
  });
  const privateKey = ca.keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const offer = (name: string, certificateChain: string): void => {
    const subject = { kind: "Secret", namespace: "default", name };
    store.offer(name, { certificateChain, privateKey, trustAnchors: ca.pem }, { subject });
  };
  offer("one", ca.pem);
  offer("two", ca.pem);
  const before = store.diagnostics();
  assert.ok(
    before.filter(({ code }) => code === "certificate-expires-soon").length >= 4,
    "of both, and their CAs",
  );
  const isKept = (name: string): boolean[] =>
    store
      .diagnostics()
      .filter(({ subject }) => subject.name === name)
      .map((found) => before.includes(found));
  assert.ok([...isKept("one"), ...isKept("two")].every((kept) => kept));

  offer("one", "nothing that is PEM");
  assert.ok(isKept("one").includes(false), "the offer that was refused is told of");
  assert.ok(isKept("two").every((kept) => kept));

  now = start + 99.5 * DAY;
  assert.ok(isKept("two").includes(false));
  now = start + 101 * DAY;
  const codes = store.diagnostics().filter(({ subject }) => subject.name === "two");
  assert.ok(codes.some(({ code }) => code === "certificate-expired"));
  now = start + 94 * DAY;
  assert.deepEqual(
    store.diagnostics().filter(({ subject }) => subject.name === "two"),
    before.filter(({ subject }) => subject.name === "two"),
    "a clock that is set back finds what was found then",
  );
});
