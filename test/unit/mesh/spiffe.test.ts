import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { createSpiffeFollower, type SpiffeWanted } from "../../../src/mesh/spiffe/follower.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { createAuthority } from "../../../src/x509/authority.ts";
import {
  derOf,
  issueSvid,
  revocationList,
  startWorkloadApi,
  type Svid,
  type WorkloadApi,
} from "../../support/workload-api.ts";
import { until } from "../../support/until.ts";

const NAME = "spiffe/agent";
const ID = "spiffe://example.org/gateway";
const authority = await createAuthority("example.org CA");
const partner = await createAuthority("partner.example CA");

let api: WorkloadApi;
let store: CredentialStore;
let follower: ReturnType<typeof createSpiffeFollower>;

beforeEach(async () => {
  api = await startWorkloadApi();
  store = new CredentialStore(systemClock);
  follower = createSpiffeFollower(store, systemClock);
});

afterEach(async () => {
  follower.stop();
  store.close();
  await api.close();
});

function wanted(choice: Partial<SpiffeWanted> = {}): SpiffeWanted {
  return {
    name: NAME,
    socket: api.path,
    federated: [],
    origin: { subject: { kind: "TLSContext", namespace: "default", name: "up" } },
    ...choice,
  };
}

/** Findings of the store: code, effect, message. */
function findings(): string[] {
  return store.diagnostics().map(({ code, effect, message }) => `${code} ${effect} ${message}`);
}

function ofBoth(...svids: Svid[]) {
  return { svids, federatedBundles: { "spiffe://partner.example": derOf(partner.certificate) } };
}

test("the first SVID and its bundle are in the store when the first answer is there", async () => {
  const svid = await issueSvid(authority, ID);
  api.answer({ svids: [svid, await issueSvid(authority, "spiffe://example.org/other")] });
  await follower.follow([wanted()]);
  assert.equal(store.credential(NAME)?.spiffeId, ID);
  assert.deepEqual(
    store.trust(NAME)?.facts.map(({ subject }) => subject),
    ["CN=example.org CA"],
  );
  assert.deepEqual(Object.keys(store.trust(NAME)?.domains ?? {}), ["example.org"]);
  assert.deepEqual(findings(), []);
  assert.deepEqual(api.opened, { withHeader: 1, without: 0 });
});

test("an SVID is chosen by its ID or its hint, and one that is not there is said", async () => {
  const [a, b] = [
    await issueSvid(authority, ID, { hint: "internal" }),
    await issueSvid(authority, "spiffe://example.org/edge", { hint: "external" }),
  ];
  api.answer({ svids: [a, b] });
  await follower.follow([
    wanted({ name: "by-id", id: "spiffe://example.org/edge" }),
    wanted({ name: "by-hint", hint: "external" }),
    wanted({ name: "neither", id: ID, hint: "external" }),
  ]);
  assert.equal(store.credential("by-id")?.spiffeId, "spiffe://example.org/edge");
  assert.equal(store.credential("by-hint")?.spiffeId, "spiffe://example.org/edge");
  assert.equal(store.credential("neither"), undefined);
  assert.deepEqual(findings(), [
    `issuer-unavailable route-fails-closed ${api.path}: it has no identity with ${ID} and the hint external for this gateway, but ${ID} (internal), spiffe://example.org/edge (external)`,
  ]);
});

test("a rotation replaces key, certificate and CA; the same again does not", async () => {
  const first = await issueSvid(authority, ID);
  api.answer({ svids: [first] });
  await follower.follow([wanted()]);
  const before = store.credential(NAME)?.generation ?? 0;
  const events: string[] = [];
  store.onChange(({ kind, event }) => events.push(`${kind} ${event}`));
  api.answer({ svids: [first] });
  const next = await createAuthority("example.org CA 2");
  api.answer({
    svids: [await issueSvid(next, ID, { bundle: `${authority.certificate}${next.certificate}` })],
  });
  await until(() => (store.credential(NAME)?.generation ?? 0) > before);
  assert.deepEqual(events, ["credential rotated", "trust rotated"]);
  assert.equal(store.trust(NAME)?.anchors.length, 2);
});

test("federated bundles are kept apart by their domain, one that is gone is gone", async () => {
  const svid = await issueSvid(authority, ID);
  api.answer(ofBoth(svid));
  await follower.follow([wanted({ federated: ["partner.example"] }), wanted({ name: "alone" })]);
  assert.deepEqual(Object.keys(store.trust(NAME)?.domains ?? {}), ["example.org", "partner.example"]);
  assert.deepEqual(Object.keys(store.trust("alone")?.domains ?? {}), ["example.org"]);
  assert.deepEqual(findings(), []);
  // Garbage does not replace what was good.
  api.answer({ svids: [svid], federatedBundles: { "spiffe://partner.example": new Uint8Array([1, 2, 3]) } });
  await until(() => findings().length > 0);
  assert.deepEqual(Object.keys(store.trust(NAME)?.domains ?? {}), ["example.org", "partner.example"]);
  assert.match(findings().join(), /issuer-unavailable kept-previous .* partner\.example that can be used/);
  api.answer({ svids: [svid] });
  await until(() => Object.keys(store.trust(NAME)?.domains ?? {}).length === 1);
});

const LIES: Readonly<Record<string, (svid: Svid) => Promise<Partial<Svid>> | Partial<Svid>>> = {
  "garbage for a certificate": () => ({ x509Svid: new Uint8Array([0x30, 0x82, 1]) }),
  "no certificate": () => ({ x509Svid: new Uint8Array() }),
  "garbage for a key": () => ({ x509SvidKey: new Uint8Array([0x30, 3, 1, 1, 1]) }),
  "another certificate's key": async () => ({ x509SvidKey: (await issueSvid(authority, ID)).x509SvidKey }),
  "an empty bundle": () => ({ bundle: new Uint8Array() }),
  "garbage for a bundle": () => ({ bundle: new Uint8Array([1]) }),
  "a leaf for a bundle": (svid) => ({ bundle: svid.x509Svid }),
  "an expired certificate": () => issueSvid(authority, ID, { notAfter: new Date(Date.now() - 1000) }),
  "a certificate of another ID": async () => ({
    x509Svid: (await issueSvid(authority, "spiffe://example.org/admin")).x509Svid,
  }),
};

for (const [what, lie] of Object.entries(LIES)) {
  test(`${what} never replaces what is good, is said, and serves nobody at a start`, async () => {
    const good = await issueSvid(authority, ID);
    api.answer({ svids: [good] });
    await follower.follow([wanted()]);
    const chain = store.credential(NAME)?.certificateChain;
    const anchors = store.trust(NAME)?.anchors;
    const bad = { ...good, ...(await lie(good)) };
    api.answer({ svids: [bad] });
    await until(() => findings().length > 0);
    assert.equal(store.credential(NAME)?.certificateChain, chain);
    assert.deepEqual(store.trust(NAME)?.anchors, anchors);
    assert.ok(
      findings().every((finding) => finding.includes("kept-previous")),
      findings().join("\n"),
    );
    // To somebody who has nothing yet it is not enough either.
    await follower.follow([wanted(), wanted({ name: "late" })]);
    const { credential, trust } = store.statuses;
    assert.ok(credential("late")?.usable !== true || trust("late")?.usable !== true);
    api.answer({ svids: [await issueSvid(authority, ID)] });
    await until(() => findings().length === 0 && store.credential("late") !== undefined);
    assert.notEqual(store.credential(NAME)?.certificateChain, chain);
  });
}

test("revocation lists come along, and are gone when they come no more", async () => {
  const svid = await issueSvid(authority, ID);
  const list = await revocationList(authority);
  api.answer({ svids: [svid], crl: [list] });
  await follower.follow([wanted()]);
  assert.equal(store.crl(NAME)?.lists.facts[0]?.issuer, "CN=example.org CA");
  assert.deepEqual(findings(), []);
  api.answer({ svids: [svid], crl: [new Uint8Array([1, 2])] });
  await until(() => findings().length > 0);
  assert.notEqual(store.crl(NAME), undefined);
  api.answer({ svids: [svid] });
  await until(() => store.crl(NAME) === undefined);
  assert.deepEqual(findings(), []);
});

test("no identity yet: said, asked again, and there when it comes", async () => {
  api.answer(Code.PermissionDenied);
  await follower.follow([wanted()]);
  assert.match(
    findings().join(),
    /^issuer-unavailable route-fails-closed .* PermissionDenied: no identity issued$/,
  );
  api.answer({ svids: [await issueSvid(authority, ID)] });
  await until(() => store.credential(NAME) !== undefined);
  assert.deepEqual(findings(), []);
});

test("an agent that goes away leaves what it gave, and is found again when it is back", async () => {
  api.answer({ svids: [await issueSvid(authority, ID)] });
  await follower.follow([wanted()]);
  const generation = store.credential(NAME)?.generation;
  await api.leave();
  await until(() => findings().some((finding) => finding.includes("there is no socket at")));
  assert.match(findings().join(), /kept-previous/);
  assert.equal(store.credential(NAME)?.generation, generation);
  api.answer({ svids: [await issueSvid(authority, ID)] });
  await api.comeBack();
  await until(() => store.credential(NAME)?.generation !== generation && findings().length === 0);
});

test("who is wanted no more is withdrawn and its stream ended; without a socket that is said", async () => {
  api.answer({ svids: [await issueSvid(authority, ID)] });
  await follower.follow([wanted()]);
  assert.equal(api.streams, 1);
  await follower.follow([wanted({ name: "nowhere", socket: undefined })]);
  await until(() => api.streams === 0);
  assert.equal(store.credential(NAME), undefined);
  assert.match(findings().join(), /SPIFFE_ENDPOINT_SOCKET/);
});

test("keys are in no finding", async () => {
  const svid = await issueSvid(authority, ID);
  api.answer({ svids: [{ ...svid, spiffeId: "spiffe://example.org/other" }] });
  await follower.follow([wanted()]);
  const key = Buffer.from(svid.x509SvidKey).toString("base64");
  assert.ok(!JSON.stringify(store.diagnostics()).includes(key.slice(40, 80)));
});
