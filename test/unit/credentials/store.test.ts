import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "../../support/fast-check.ts";
import type { CredentialChange } from "../../../src/credentials/credential.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { certificates } from "../../support/certificates.ts";
import { handClock } from "../../support/clock.ts";

const HOUR = 3_600_000;
const origin = { subject: { kind: "Secret", namespace: "default", name: "s" } };

it("fires what time changes: usable at notBefore, unusable after notAfter", async () => {
  const { ca } = await certificates();
  const clock = handClock();
  const soon = await ca.issue({
    commonName: "soon",
    notBefore: new Date(clock.now() + HOUR),
    notAfter: new Date(clock.now() + 3 * HOUR),
  });
  const store = new CredentialStore(clock);
  const changes: CredentialChange[] = [];
  store.onChange((change) => changes.push(change));
  store.offer("s", { certificateChain: soon.certificate, privateKey: soon.privateKey }, origin);
  assert.equal(store.credential("s"), undefined);
  assert.equal(store.statuses.credential("s")?.usable, false);
  assert.ok(store.diagnostics().some(({ code }) => code === "certificate-not-yet-valid"));
  clock.move(2 * HOUR);
  assert.equal(store.credential("s")?.generation, 1);
  clock.move(2 * HOUR);
  assert.equal(store.credential("s"), undefined);
  assert.deepEqual(
    changes.filter(({ kind }) => kind === "credential").map(({ event }) => event),
    ["usable", "unusable"],
  );
  store.close();
});

it("the same bytes change nothing, a listener that throws stops nobody", async () => {
  const { client } = await certificates();
  const store = new CredentialStore(handClock());
  let heard = 0;
  store.onChange(() => {
    throw new Error("broken listener");
  });
  store.onChange(({ kind }) => {
    if (kind === "credential") heard++;
  });
  const material = { certificateChain: client.certificate, privateKey: client.privateKey };
  store.offer("s", material, origin);
  store.offer("s", material, origin);
  assert.equal(heard, 1);
  assert.equal(store.credential("s")?.generation, 1);
  store.close();
});

it("whatever is offered, removed and waited for: never torn, never out of date, generations only grow", async () => {
  const { ca } = await certificates();
  const clock = handClock();
  const start = clock.now();
  const made = await Promise.all(
    [1, 2, 3, 4].map((hours) =>
      ca.issue({ commonName: `c${hours}`, notAfter: new Date(start + hours * HOUR) }),
    ),
  );
  const action = fc.oneof(
    fc.record({ certificate: fc.nat(3), key: fc.nat(3) }).map((offer) => ({ offer })),
    fc.constant({ remove: true as const }),
    fc.integer({ min: 0, max: 20 * 60_000 }).map((wait) => ({ wait })),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), (actions) => {
      const time = handClock(start);
      const store = new CredentialStore(time);
      let last = 0;
      let current = 0;
      store.onChange(({ kind, generation }) => {
        if (kind === "credential") current = generation;
      });
      for (const step of actions) {
        if ("offer" in step) {
          const { certificate, key } = step.offer;
          const material = {
            certificateChain: made[certificate]?.certificate ?? "",
            privateKey: made[key]?.privateKey ?? "",
          };
          store.offer("s", material, origin);
        } else if ("remove" in step) {
          store.remove("s");
          last = 0;
          assert.equal(store.credential("s"), undefined);
        } else time.move(step.wait);
        const credential = store.credential("s");
        assert.equal(store.statuses.credential("s")?.usable ?? false, credential !== undefined);
        if (credential === undefined) continue;
        assert.ok(time.now() <= credential.notAfter, "out of date");
        const pair = made.find(({ privateKey }) => privateKey === credential.privateKey);
        assert.equal(
          credential.facts[0]?.subject,
          `CN=c${made.indexOf(pair as (typeof made)[0]) + 1}`,
          "torn",
        );
        assert.ok(credential.generation >= last);
        last = credential.generation;
        assert.ok(current >= credential.generation);
      }
      store.close();
    }),
    { numRuns: 200 },
  );
});
