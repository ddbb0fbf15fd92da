import assert from "node:assert/strict";
import { test } from "node:test";
import { AnchorLedger, type AnchorSighting } from "../../../src/credentials/anchor-ledger.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { createAuthority } from "../../../src/x509/authority.ts";
import { handClock } from "../../support/clock.ts";

const SEEN: AnchorSighting = {
  direction: "upstream",
  place: "a:443",
  trust: "ca",
  anchor: "a0",
  peer: "CN=one",
};

test("what vouches is counted by place and by peer, with its first and last time", () => {
  const clock = handClock(1000);
  const ledger = new AnchorLedger(clock);
  ledger.saw(SEEN);
  clock.move(500);
  ledger.saw(SEEN);
  ledger.saw({ ...SEEN, anchor: "b0", peer: "CN=two" });
  ledger.saw({ ...SEEN, direction: "client", place: "https" });
  const [first, second, ...more] = [...ledger.places];
  assert.deepEqual([first?.place, second?.place, more], ["a:443", "https", []]);
  assert.deepEqual(first?.anchors.get("a0"), { handshakes: 2, first: 1000, last: 1500 });
  assert.deepEqual([...(first?.peers.keys() ?? [])], ["CN=one", "CN=two"]);
  assert.deepEqual([...(first?.peers.get("CN=two")?.keys() ?? [])], ["b0"]);
});

test("it is bounded: peers are counted where there is no room, places that were not seen for longest make room", () => {
  const clock = handClock(0);
  const ledger = new AnchorLedger(clock);
  for (let index = 0; index < 25_000; index++) ledger.saw({ ...SEEN, peer: `CN=${index}` });
  const [place] = [...ledger.places];
  const counts = [place?.peers.size, place?.unlisted, place?.anchors.get("a0")?.handshakes];
  assert.deepEqual(counts, [20_000, 5000, 25_000]);
  for (let index = 0; index < 1999; index++) ledger.saw({ ...SEEN, place: `${index}:443` });
  assert.equal(ledger.forgottenPlaces, 0);
  clock.move(1000);
  for (const index of [0, 1, 2]) ledger.saw({ ...SEEN, place: `${index}:443` });
  ledger.saw({ ...SEEN, place: "new:443", peer: "CN=late" });
  const left = new Map([...ledger.places].map((known) => [known.place, known]));
  assert.deepEqual(
    [left.size, ledger.forgottenPlaces, left.has("a:443"), left.has("0:443")],
    [2000, 1, false, true],
  );
  assert.deepEqual([...(left.get("new:443")?.peers.keys() ?? [])], ["CN=late"], "its peers make room too");
});

test("after many roots a new one is counted, and the one that was not seen for longest is forgotten", () => {
  const clock = handClock(0);
  const ledger = new AnchorLedger(clock);
  const root = (index: number): void => ledger.saw({ ...SEEN, anchor: `root-${index}` });
  for (let index = 0; index < 100; index++) {
    clock.move(1);
    root(index);
  }
  clock.move(1);
  root(0);
  clock.move(1);
  root(100);
  const [place] = [...ledger.places];
  for (const anchors of [place?.anchors, place?.peers.get(SEEN.peer)]) {
    assert.deepEqual(
      ["root-0", "root-1", "root-100"].map((name) => anchors?.has(name)),
      [true, false, true],
    );
    assert.equal(anchors?.size, 100);
  }
});

test("since when a CA is in its bundle: until it goes, whatever comes beside it", async () => {
  const clock = handClock(Date.now());
  const store = new CredentialStore(clock);
  const ledger = new AnchorLedger(clock);
  ledger.follow(store);
  const [one, two] = await Promise.all([createAuthority("one"), createAuthority("two")]);
  const offer = (...certificates: string[]): void =>
    store.offer(
      "ca",
      { trustAnchors: certificates.join("") },
      { subject: { kind: "Secret", namespace: "a", name: "ca" } },
    );
  const sha = (index: number): string => store.trust("ca")?.facts[index]?.sha256 ?? "";
  const began = clock.now();
  offer(one.certificate);
  clock.move(1000);
  offer(one.certificate, two.certificate);
  const [first, second] = [sha(0), sha(1)];
  assert.deepEqual([ledger.since("ca", first), ledger.since("ca", second)], [began, began + 1000]);
  clock.move(1000);
  offer(two.certificate);
  assert.deepEqual([ledger.since("ca", first), ledger.since("ca", second)], [undefined, began + 1000]);
  store.close();
});
