import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { createIstioFollower } from "../../../src/mesh/istio/follower.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { createAuthority } from "../../../src/x509/authority.ts";
import { type IstioSds, startIstioSds } from "../../support/istio-sds.ts";
import { until } from "../../support/until.ts";

const NAME = "istio/agent";
const ID = "spiffe://cluster.local/ns/shop/sa/edge";
const authority = await createAuthority("cluster.local CA");
const next = await createAuthority("cluster.local CA 2");
const CA = { ca: authority.certificate };

let sds: IstioSds;
let store: CredentialStore;
let follower: ReturnType<typeof createIstioFollower>;

beforeEach(async () => {
  sds = await startIstioSds();
  store = new CredentialStore(systemClock);
  follower = createIstioFollower(store, systemClock, "router~10.0.0.1~edge.shop~shop.svc.cluster.local");
});

afterEach(async () => {
  follower.stop();
  store.close();
  await sds.close();
});

type Held = Exclude<Parameters<IstioSds["push"]>[0], number>;

async function follow(held: Held): Promise<void> {
  sds.push(held);
  await follower.follow([
    {
      name: NAME,
      socket: sds.path,
      certificate: "default",
      ca: "ROOTCA",
      origin: { subject: { kind: "TLSContext", namespace: "default", name: "istio-upstream" } },
    },
  ]);
}

function workload(by = authority) {
  return by.issue({ commonName: "", uris: [ID] });
}

function findings(): string[] {
  return store.diagnostics().map(({ code, message }) => `${code}: ${message}`);
}

function refusals(): string[] {
  return sds.requests.flatMap(({ error }) => error ?? []);
}

test("a certificate of a CA that is not there yet waits for it, and is in use once it is", async () => {
  const [own, following] = [await workload(), await workload(next)];
  await follow({ default: own, ROOTCA: CA });
  sds.push({ default: following, ROOTCA: CA });
  await until(() => refusals().length > 0);
  assert.match(refusals()[0] ?? "", /does not build to the CA given beside it/);
  assert.equal(store.credential(NAME)?.certificateChain, own.certificate);
  assert.match(findings().join("\n"), /issuer-unavailable: .*does not build to the CA/);
  const asked = sds.requests.length;
  sds.push({ default: following, ROOTCA: { ca: authority.certificate + next.certificate } });
  await until(() => store.credential(NAME)?.certificateChain === following.certificate);
  await until(() => sds.requests.length >= asked + 2);
  assert.deepEqual(findings(), []);
});

test("where the CA alone comes, the certificate that was refused for want of it is in use at once", async () => {
  const own = await workload();
  const following = await workload(next);
  await follow({ default: own, ROOTCA: CA });
  sds.push({ default: following });
  await until(() => findings().join().includes("does not build"));
  sds.push({ ROOTCA: { ca: next.certificate } });
  await until(() => store.trust(NAME)?.facts[0]?.subject === "CN=cluster.local CA 2");
  assert.equal(store.credential(NAME)?.certificateChain, following.certificate);
  await until(() => !findings().join().includes("does not build"));
});

test("a CA that does not vouch for our own certificate is taken, and that is said", async () => {
  const own = await workload();
  await follow({ default: own, ROOTCA: CA });
  sds.push({ default: own, ROOTCA: { ca: next.certificate } });
  await until(() => store.trust(NAME)?.facts[0]?.subject === "CN=cluster.local CA 2");
  assert.equal(store.credential(NAME)?.certificateChain, own.certificate);
  await until(() => findings().some((finding) => finding.startsWith("certificate-chain-broken")));
});

test("revocation lists come with the CA, go with them, and one that cannot be read leaves the one before", async () => {
  const own = await workload();
  const crl = await authority.revoke([]);
  await follow({ default: own, ROOTCA: { ...CA, crl } });
  assert.equal(store.crl(NAME)?.lists.facts.length, 1);
  sds.push({ default: own, ROOTCA: { ...CA, crl: "garbage" } });
  await until(() => refusals().length > 0);
  assert.match(refusals()[0] ?? "", /X509 CRL/);
  assert.equal(store.crl(NAME)?.lists.facts.length, 1);
  sds.push({ default: own, ROOTCA: CA });
  await until(() => store.crl(NAME) === undefined);
  await until(() => findings().length === 0);
});

test("CAs by trust domain, as SPIRE's SDS gives them, vouch for their own alone", async () => {
  const domains = { "cluster.local": authority.certificate, "partner.example": next.certificate };
  await follow({ default: await workload(), ROOTCA: { ca: "", domains } });
  assert.deepEqual(Object.keys(store.trust(NAME)?.domains ?? {}), ["cluster.local", "partner.example"]);
  assert.deepEqual(findings(), []);
  const status = store.statuses.trust(NAME);
  assert.ok(status?.usable && status.byTrustDomain, "compile knows, as Envoy has another validator for it");
  sds.push({
    default: await workload(),
    ROOTCA: { ca: "", domains: { ...domains, "partner.example": "garbage" } },
  });
  await until(() => refusals().length > 0);
  assert.equal(store.trust(NAME)?.anchors.length, 2, "of one that is bad nothing is taken");
});

const pattern = { case: "exact" as const, value: "spiffe://cluster.local/ns/shop/sa/orders" };
const REFUSED: Readonly<Record<string, [Held[string], RegExp]>> = {
  "rules for names of peers": [
    { ...CA, more: { matchTypedSubjectAltNames: [{ matcher: { matchPattern: pattern } }] } },
    /matchTypedSubjectAltNames, which is not heeded/,
  ],
  "a pin": [{ ...CA, more: { verifyCertificateSpki: ["x"] } }, /verifyCertificateSpki, which is not heeded/],
  "a depth": [{ ...CA, more: { maxVerifyDepth: 1 } }, /maxVerifyDepth, which is not heeded/],
  "another validator": [
    { ...CA, more: { customValidatorConfig: { name: "mine" } } },
    /for a validator that is not known here \(mine\)/,
  ],
  "the CA of no trust domain": [{ ca: "", domains: {} }, /has the CA of no trust domain/],
  "a list in a file": [
    { ...CA, more: { crl: { specifier: { case: "filename", value: "/crl.pem" } } } },
    /revocation lists of ROOTCA are not inline/,
  ],
};
for (const [what, [ca, expected]] of Object.entries(REFUSED))
  test(`a CA with ${what} is refused: nothing that narrows is dropped`, async () => {
    const own = await workload();
    await follow({ default: own, ROOTCA: ca });
    await until(() => refusals().length > 0);
    assert.match(refusals()[0] ?? "", expected);
    assert.equal(store.trust(NAME), undefined);
  });
