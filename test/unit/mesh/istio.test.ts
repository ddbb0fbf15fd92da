import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { createIstioFollower, type IstioWanted } from "../../../src/mesh/istio/follower.ts";
import { Requests } from "../../../src/mesh/istio/subscription.ts";
import { DiscoveryRequestSchema } from "../../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { createAuthority, type IssuedCertificate } from "../../../src/x509/authority.ts";
import { type IstioSds, startIstioSds } from "../../support/istio-sds.ts";
import { until } from "../../support/until.ts";

const NAME = "istio/agent";
const NODE = "router~10.0.0.1~edge.shop~shop.svc.cluster.local";
const ID = "spiffe://cluster.local/ns/shop/sa/edge";
const authority = await createAuthority("cluster.local CA");
const next = await createAuthority("cluster.local CA 2");

let sds: IstioSds;
let store: CredentialStore;
let follower: ReturnType<typeof createIstioFollower>;

beforeEach(async () => {
  sds = await startIstioSds();
  store = new CredentialStore(systemClock);
  follower = createIstioFollower(store, systemClock, NODE);
});

afterEach(async () => {
  follower.stop();
  store.close();
  await sds.close();
});

function wanted(name = NAME): IstioWanted {
  return {
    name,
    socket: sds.path,
    certificate: "default",
    ca: "ROOTCA",
    origin: { subject: { kind: "TLSContext", namespace: "default", name: "istio-upstream" } },
  };
}

function workload(notAfter?: Date) {
  return authority.issue({ commonName: "", uris: [ID], ...(notAfter === undefined ? {} : { notAfter }) });
}

function findings(): string[] {
  return store.diagnostics().map(({ code, effect, message }) => `${code} ${effect} ${message}`);
}

const FLOOD = 300;
const CA = { ca: authority.certificate };

test("certificate and CA are asked for as Envoy does, each on a stream of its own, and acknowledged", async () => {
  sds.push({ default: await workload(), ROOTCA: CA });
  await follower.follow([wanted()]);
  assert.equal(store.credential(NAME)?.spiffeId, ID);
  assert.deepEqual(
    store.trust(NAME)?.facts.map(({ subject }) => subject),
    ["CN=cluster.local CA"],
  );
  assert.equal(store.hasTrustAnchors(NAME), true);
  assert.deepEqual(findings(), []);
  await until(() => sds.requests.length === 4);
  const said = (resource: string) => sds.requests.filter(({ names }) => names.join() === resource);
  for (const resource of ["default", "ROOTCA"]) {
    const [asked, acknowledged] = said(resource);
    assert.deepEqual([asked?.version, asked?.nonce, asked?.node, asked?.error], ["", "", NODE, undefined]);
    assert.deepEqual(
      [acknowledged?.version, acknowledged?.nonce, acknowledged?.error],
      ["v1", `${asked?.stream}/v1`, undefined],
    );
  }
  assert.notEqual(said("default")[0]?.stream, said("ROOTCA")[0]?.stream);
});

test("a rotation of one half leaves the other as it is", async () => {
  sds.push({ default: await workload(), ROOTCA: CA });
  await follower.follow([wanted()]);
  const events: string[] = [];
  store.onChange(({ kind, event }) => events.push(`${kind} ${event}`));
  const before = store.credential(NAME)?.certificateChain;
  sds.push({ default: await workload(), ROOTCA: CA });
  await until(() => events.length === 1);
  sds.push({ ROOTCA: { ca: `${authority.certificate}${next.certificate}` } });
  await until(() => store.trust(NAME)?.anchors.length === 2);
  assert.deepEqual(events, ["credential rotated", "trust rotated"]);
  assert.notEqual(store.credential(NAME)?.certificateChain, before);
});

const LIES: Readonly<Record<string, () => Promise<Parameters<IstioSds["push"]>[0]>>> = {
  "garbage for a certificate": async () => ({
    default: { ...(await workload()), certificate: "garbage" },
    ROOTCA: CA,
  }),
  "another certificate's key": async () => ({
    default: { ...(await workload()), privateKey: (await workload()).privateKey },
    ROOTCA: CA,
  }),
  "an empty bundle": async () => ({ default: await workload(), ROOTCA: { ca: "" } }),
  "a leaf for a CA": async () => ({
    default: await workload(),
    ROOTCA: { ca: (await workload()).certificate },
  }),
  "an expired certificate": async () => ({
    default: await workload(new Date(Date.now() - 1000)),
    ROOTCA: CA,
  }),
  "a CA where the certificate was asked for": async () => ({ default: CA, ROOTCA: CA }),
  "nothing of what was asked for": async () => ({ other: await workload() }),
};

for (const [what, lie] of Object.entries(LIES)) {
  test(`${what} is refused (NACK), never replaces what is good, and is said`, async () => {
    sds.push({ default: await workload(), ROOTCA: CA });
    await follower.follow([wanted()]);
    await until(() => sds.requests.length === 4);
    const anchors = store.trust(NAME)?.anchors;
    sds.push(await lie());
    await until(() => sds.requests.some(({ error }) => error !== undefined));
    const refusal = sds.requests.find(({ error }) => error !== undefined);
    assert.deepEqual([refusal?.version, refusal?.nonce], ["v1", `${refusal?.stream}/v2`]);
    assert.equal(store.statuses.credential(NAME)?.usable, true);
    assert.deepEqual(store.trust(NAME)?.anchors, anchors);
    assert.ok(
      findings().some((finding) => finding.startsWith("issuer-unavailable kept-previous")),
      findings().join("\n"),
    );
    sds.push({ default: await workload(), ROOTCA: CA });
    await until(() => findings().length === 0);
  });
}

test("an agent that goes away leaves what it gave; when it is back it is told what version there is", async () => {
  sds.push({ default: await workload(), ROOTCA: CA });
  await follower.follow([wanted()]);
  await until(() => sds.requests.length === 4);
  await sds.leave();
  await until(() => findings().some((finding) => finding.includes("there is no socket at")));
  assert.match(findings().join(), /kept-previous/);
  assert.equal(store.statuses.credential(NAME)?.usable, true);
  await sds.comeBack();
  await until(() => findings().length === 0);
  const again = sds.requests.slice(4).filter(({ nonce }) => nonce === "");
  assert.deepEqual(
    again.map(({ version }) => version),
    ["v1", "v1"],
  );
});

test("an agent that floods with good certificates is held up, and its last one is in use in the end", async () => {
  const several = [await workload(), await workload(), await workload()];
  const last = await workload();
  let sent = 0;
  let sentAtFirst = 0;
  const flood = await startIstioSds(async function* () {
    for (let count = 0; count < FLOOD; count++, sent++)
      yield { default: several[count % 3] as IssuedCertificate, ROOTCA: CA };
    yield { default: last, ROOTCA: CA };
  });
  const taken: string[] = [];
  store.onChange(({ kind, event }) => {
    sentAtFirst ||= sent;
    if (kind === "credential") taken.push(event);
  });
  try {
    const source = { ...wanted(), socket: flood.path };
    await follower.follow([source]);
    await until(() => store.credential(NAME)?.certificateChain === last.certificate);
    assert.ok(taken.length <= FLOOD / 4, `${taken.length} of ${FLOOD} were taken`);
    assert.ok(sentAtFirst < FLOOD, "the agent was held up");
    assert.deepEqual(flood.requests.at(-1)?.error, undefined);
  } finally {
    await flood.close();
  }
});

test("an agent without a certificate is asked again until it has one", async () => {
  sds.push(Code.Unavailable);
  await follower.follow([wanted()]);
  assert.match(findings().join(), /issuer-unavailable route-fails-closed .* Unavailable: the agent has no/);
  sds.push({ default: await workload(), ROOTCA: CA });
  await until(() => store.credential(NAME) !== undefined && findings().length === 0);
});

test("what is wanted no more is withdrawn", async () => {
  sds.push({ default: await workload(), ROOTCA: CA });
  await follower.follow([wanted()]);
  await follower.follow([]);
  assert.equal(store.statuses.credential(NAME), undefined);
  assert.equal(store.statuses.trust(NAME), undefined);
});

test("of what a server leaves unread the latest is kept alone", async () => {
  const ended = new AbortController();
  const requests = new Requests(ended.signal);
  for (let index = 1; index <= 1000; index++)
    requests.push(create(DiscoveryRequestSchema, { responseNonce: `${index}` }));
  const read: string[] = [];
  for await (const { responseNonce } of requests) {
    read.push(responseNonce);
    setImmediate(() => ended.abort());
  }
  assert.deepEqual(read, ["1000"]);
});
