import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import fc from "../../support/fast-check.ts";
import type { CredentialChange } from "../../../src/credentials/credential.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import type { Clock } from "../../../src/telemetry/clock.ts";
import type { IssuedCertificate, IssueOptions } from "../../../src/x509/authority.ts";
import { certificates } from "../../support/certificates.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.now();
const origin = { subject: { kind: "Secret", namespace: "default", name: "s" } };

let now = START;
/** Since the start, in milliseconds, whatever the clock says: timers follow this (`process.hrtime`). */
let elapsed = 0;
let timers: { at: number; run: () => void }[] = [];
let changes: CredentialChange[] = [];
let store: CredentialStore;

const clock: Clock = {
  now: () => now,
  after(milliseconds, run) {
    const timer = { at: elapsed + milliseconds, run };
    timers.push(timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  },
};

/** Lets the time pass, or sets the clock back, and runs what is due, as often as something is. */
function move(milliseconds: number): void {
  now += milliseconds;
  elapsed += Math.max(milliseconds, 0);
  for (
    let due = timers.find(({ at }) => at <= elapsed);
    due !== undefined;
    due = timers.find(({ at }) => at <= elapsed)
  ) {
    timers = timers.filter((other) => other !== due);
    due.run();
  }
}

/** Takes its dates from START. */
async function issue(commonName: string, from: number, until: number): Promise<IssuedCertificate> {
  const { ca } = await certificates();
  const options: IssueOptions = {
    commonName,
    dnsNames: ["leaf.example"],
    notBefore: new Date(Math.floor((START + from) / 1000) * 1000),
    notAfter: new Date(Math.floor((START + until) / 1000) * 1000),
  };
  return ca.issue(options);
}

function offer({ certificate, privateKey }: IssuedCertificate): void {
  store.offer("s", { certificateChain: certificate, privateKey }, origin);
}

const codes = (): string[] => store.diagnostics().map(({ code }) => code);
const inUse = (): string | undefined => store.credential("s")?.facts[0]?.subject;
const events = (kind = "credential"): string[] =>
  changes.filter((change) => change.kind === kind).map(({ event }) => event);

beforeEach(() => {
  now = START;
  timers = [];
  changes = [];
  store = new CredentialStore(clock);
  store.onChange((change) => changes.push(change));
});

describe("what replaces a credential in use", () => {
  it("a bad one does not: the good one stays to its end, said with the cause", async () => {
    offer(await issue("good", -HOUR, 60 * DAY));
    store.offer("s", { certificateChain: "garbage", privateKey: "garbage" }, origin);
    assert.equal(inUse(), "CN=good");
    assert.deepEqual(codes(), ["pem-invalid", "credential-kept-previous"]);
    assert.equal(store.diagnostics()[0]?.effect, "kept-previous");
    move(60 * DAY + 1000);
    assert.equal(inUse(), undefined);
    assert.equal(codes().includes("credential-kept-previous"), false);
    assert.equal(store.diagnostics()[0]?.effect, "route-fails-closed");
  });

  it("a mistake that is undone is no rotation", async () => {
    const good = await issue("good", -HOUR, 60 * DAY);
    offer(good);
    store.offer("s", { certificateChain: "garbage" }, origin);
    offer(good);
    assert.equal(store.credential("s")?.generation, 1);
    assert.deepEqual(codes(), []);
    assert.deepEqual(events(), ["usable"]);
  });

  it("says of a short-lived certificate that it ends soon when its issuer is late, not all of the time", async () => {
    offer(await issue("leaf", 0, 10 * HOUR));
    assert.deepEqual(codes(), []);
    move(8 * HOUR);
    assert.deepEqual(codes(), []);
    move(1.5 * HOUR);
    assert.deepEqual(codes(), ["certificate-expires-soon"]);
  });

  it("a renewal that comes before its time takes over when that has come", async () => {
    offer(await issue("old", -HOUR, 3 * HOUR));
    offer(await issue("new", 2 * HOUR, 90 * DAY));
    assert.equal(inUse(), "CN=old");
    assert.deepEqual(codes(), ["certificate-not-yet-valid", "credential-kept-previous"]);
    move(2 * HOUR);
    assert.equal(inUse(), "CN=new");
    assert.deepEqual(codes(), []);
    assert.deepEqual(events(), ["usable", "rotated"]);
  });

  it("the one waiting is given up when its whole time is slept through", async () => {
    offer(await issue("long", -HOUR, 10 * HOUR));
    offer(await issue("brief", HOUR, 2 * HOUR));
    move(3 * HOUR);
    assert.equal(inUse(), "CN=long");
    assert.ok(codes().includes("certificate-expired"));
  });

  it("the one waiting is forgotten when another is offered or all is removed", async () => {
    offer(await issue("old", -HOUR, 90 * DAY));
    offer(await issue("early", HOUR, 90 * DAY));
    offer(await issue("newer", -HOUR, 91 * DAY));
    move(2 * HOUR);
    assert.equal(inUse(), "CN=newer");
    offer(await issue("early", 3 * HOUR, 90 * DAY));
    store.remove("s");
    move(2 * HOUR);
    assert.equal(inUse(), undefined);
    assert.equal(timers.length, 0);
  });
});

describe("time", () => {
  it("is judged when asked, whether a timer came or not", async () => {
    offer(await issue("short", -HOUR, HOUR));
    now += HOUR + 1000;
    assert.equal(inUse(), undefined);
    assert.equal(store.statuses.credential("s")?.usable, false);
    now -= 2 * HOUR + 1000;
    offer(await issue("early", -HOUR / 2, 90 * DAY));
    assert.equal(inUse(), "CN=short");
  });

  it("that is set on is noticed within a minute", async () => {
    offer(await issue("later", 300 * DAY, 400 * DAY));
    assert.deepEqual(events(), []);
    now += 301 * DAY;
    move(60_000);
    assert.deepEqual(events(), ["usable"]);
  });

  it("that comes late makes one event for each change, and none more", async () => {
    offer(await issue("short", -HOUR, HOUR));
    now += HOUR + 1000;
    offer(await issue("next", -HOUR, 90 * DAY));
    move(HOUR);
    assert.deepEqual(events(), ["usable", "usable"], "between the two it was unusable to whoever asked");
  });

  it("warns 30 days before the end, of a CA bundle by its last CA", async () => {
    const { ca } = await certificates();
    offer(await issue("month", -60 * DAY, 31 * DAY));
    assert.deepEqual(codes(), []);
    store.offer("t", { trustAnchors: ca.certificate }, origin);
    assert.deepEqual(codes(), []);
    move(2 * DAY);
    assert.deepEqual(codes(), ["certificate-expires-soon"]);
    move(80 * DAY);
    assert.equal(codes().filter((code) => code === "certificate-expires-soon").length, 1);
  });
});

describe("generations", () => {
  it("are never used twice, whatever was removed between", async () => {
    const { ca, stranger } = await certificates();
    const seen = new Set<number>();
    for (const { certificate } of [ca, stranger, ca]) {
      store.offer("s", { trustAnchors: certificate }, origin);
      const generation = store.trust("s")?.generation ?? 0;
      assert.equal(seen.has(generation), false);
      seen.add(generation);
      store.remove("s");
    }
  });
});

describe("a CA beside the certificate", () => {
  it("given or taken away makes an event that compiles, for what is verified changes with it", async () => {
    const { ca } = await certificates();
    const { certificate, privateKey } = await issue("leaf", -HOUR, 90 * DAY);
    const pair = { certificateChain: certificate, privateKey };
    store.offer("s", pair, origin);
    assert.equal(store.hasTrustAnchors("s"), false);
    assert.equal(store.trust("s"), undefined);
    store.offer("s", { ...pair, trustAnchors: ca.certificate }, origin);
    assert.equal(store.hasTrustAnchors("s"), true);
    assert.equal(store.trust("s")?.anchors.length, 1);
    store.offer("s", { ...pair, trustAnchors: "garbage" }, origin);
    assert.equal(store.trust("s")?.anchors.length, 1, "kept");
    assert.deepEqual(codes(), ["pem-invalid", "credential-kept-previous"]);
    store.offer("s", pair, origin);
    assert.equal(store.hasTrustAnchors("s"), false);
    assert.equal(store.trust("s"), undefined, "a CA that was taken away");
    assert.deepEqual(events("trust"), ["usable", "unusable"]);
  });

  it("stays with the certificate that is kept: a bad replacement does not turn verification off", async () => {
    const { ca } = await certificates();
    const { certificate, privateKey } = await issue("leaf", -HOUR, 90 * DAY);
    store.offer("s", { certificateChain: certificate, privateKey, trustAnchors: ca.certificate }, origin);
    for (const certificateChain of ["", "garbage"]) {
      store.offer("s", { certificateChain, privateKey }, origin);
      assert.equal(inUse(), "CN=leaf");
      assert.equal(store.hasTrustAnchors("s"), true);
      assert.equal(store.trust("s")?.anchors.length, 1);
    }
    store.offer("s", { certificateChain: certificate, privateKey }, origin);
    assert.equal(store.hasTrustAnchors("s"), false, "taken away on purpose");
  });

  it("alone in tls.crt is no certificate that lacks its key, but beside a CA it is", async () => {
    const { ca } = await certificates();
    store.offer("s", { certificateChain: ca.certificate }, origin);
    assert.deepEqual(codes(), []);
    assert.equal(store.statuses.credential("s"), undefined);
    assert.deepEqual(store.statuses.trust("s"), { usable: true });
    store.offer("s", { certificateChain: ca.certificate, trustAnchors: ca.certificate }, origin);
    assert.deepEqual(codes(), ["secret-key-missing"]);
  });

  it("a chain of CAs is a bundle for whoever asks, and says nothing to who does not", async () => {
    const { ca, server } = await certificates();
    store.offer("s", { certificateChain: ca.certificate }, origin);
    assert.equal(store.trust("s")?.facts[0]?.subject, "CN=test CA");
    assert.equal(store.hasTrustAnchors("s"), false);
    store.offer("s", { certificateChain: server.certificate, privateKey: server.privateKey }, origin);
    assert.deepEqual(codes(), []);
  });
});

it("under any offers, removals and times: never out of date, never torn, a generation for each change", async () => {
  const made = await Promise.all(
    [0, 1, 2, 3].map((index) => issue(`c${index}`, index * HOUR, (index + 2) * HOUR)),
  );
  const action = fc.oneof(
    fc.record({ certificate: fc.nat(3), key: fc.nat(3) }).map((pair) => ({ pair })),
    fc.constant({ garbage: true as const }),
    fc.constant({ remove: true as const }),
    fc.record({ wait: fc.integer({ min: -HOUR, max: 2 * HOUR }), timers: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      now = START;
      timers = [];
      store = new CredentialStore(clock);
      const generations = new Map<number, string>();
      let told: CredentialChange | undefined;
      /** What compile was told of at each epoch. */
      const epochs = new Map<number, string>();
      let isLate = false;
      store.onChange((change) => {
        if (change.kind === "credential") told = change;
      });
      for (const step of actions) {
        if ("pair" in step) {
          const { certificate = "" } = made[step.pair.certificate] ?? {};
          const { privateKey = "" } = made[step.pair.key] ?? {};
          offer({ certificate, privateKey });
        } else if ("garbage" in step) store.offer("s", { certificateChain: "x", privateKey: "y" }, origin);
        else if ("remove" in step) store.remove("s");
        else if (step.timers) move(step.wait);
        else now += step.wait;
        // A clock that is set is noticed within a minute.
        if ("wait" in step) isLate = !step.timers || step.wait < 0 || (isLate && step.wait < 60_000);
        if (!isLate) {
          const said = JSON.stringify([store.statuses.credential("s"), store.statuses.trust("s")]);
          assert.equal(epochs.get(store.statusEpoch) ?? said, said, "another status at the same epoch");
          epochs.set(store.statusEpoch, said);
        }
        const credential = store.credential("s");
        const settled = !("wait" in step) || step.timers;
        assert.equal(store.statuses.credential("s")?.usable ?? false, credential !== undefined);
        store.diagnostics();
        if (credential === undefined) continue;
        const pair = made.find(({ certificate }) => certificate === credential.certificateChain);
        assert.ok(pair !== undefined && pair.privateKey === credential.privateKey, "torn");
        const { notBefore, notAfter } = credential.facts[0] ?? { notBefore: 0, notAfter: 0 };
        assert.ok(notBefore <= now && now <= notAfter, "out of its dates");
        const known = generations.get(credential.generation);
        assert.ok(
          known === undefined || known === credential.certificateChain,
          "one generation, two credentials",
        );
        generations.set(credential.generation, credential.certificateChain);
        if (settled && "pair" in step) assert.equal(told?.generation, credential.generation);
      }
      store.close();
      assert.equal(timers.length, 0);
    }),
    { numRuns: 300 },
  );
});
