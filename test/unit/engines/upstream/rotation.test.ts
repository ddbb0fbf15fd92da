import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Socket } from "node:net";
import type { SecureVersion } from "node:tls";
import { CredentialStore } from "../../../../src/credentials/store.ts";
import { type Clock, systemClock } from "../../../../src/telemetry/clock.ts";
import { type Authority, createAuthority, type IssuedCertificate } from "../../../../src/x509/authority.ts";
import {
  acquire,
  CREDENTIAL,
  eventually,
  mutualTls,
  offerClient,
  offerTrust,
  Requester,
  request,
  type Setup,
  type SetupOptions,
  setUp,
  TRUST,
} from "./cluster-setup.ts";
import { type Peer, tcpPeer, tlsPeer } from "./peer.ts";

describe("credential generations of an upstream", () => {
  let authority: Authority;
  let issued: IssuedCertificate;
  const open: { close(): unknown }[] = [];

  before(async () => {
    authority = await createAuthority("Test CA");
    issued = await authority.issue({ commonName: "upstream.test", dnsNames: ["upstream.test"] });
  });
  after(() => Promise.all(open.map((one) => one.close())));

  async function world(
    options: Partial<SetupOptions> = {},
    maxVersion: SecureVersion = "TLSv1.3",
    shown: IssuedCertificate = issued,
  ) {
    const peer: Peer = await tlsPeer({
      cert: shown.certificate,
      key: shown.privateKey,
      ca: authority.certificate,
      requestCert: true,
      maxVersion,
    });
    const store = options.store ?? new CredentialStore(systemClock);
    await offerClient(store, authority, { commonName: "first" });
    offerTrust(store, authority.certificate);
    const setup: Setup = setUp({ tls: mutualTls(), endpoints: [peer.endpoint], store, ...options });
    open.push(setup, store, peer);
    return { peer, store, cluster: setup.cluster };
  }

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`resumes within a generation and never across, ${version}`, async () => {
      const { peer, store, cluster } = await world({}, version);
      for (let turn = 0; turn < 3; turn++) {
        const { connection, received } = await request(cluster, true);
        assert.equal(received, "answer");
        assert.equal(connection?.identityVerified, "upstream.test");
        assert.equal(connection?.identityPresented, "CN=first (generation 1)");
      }
      await offerClient(store, authority, { commonName: "second" });
      const { connection } = await request(cluster, true);
      assert.equal(connection?.identityPresented, "CN=second (generation 2)");
      assert.deepEqual(
        peer.handshakes.map(({ resumed, subject }) => [resumed, subject]),
        [
          [false, "first"],
          [true, "first"],
          [true, "first"],
          [false, "second"],
        ],
      );
    });
  }

  it("uses a TLS 1.3 ticket once", async () => {
    const { peer, cluster } = await world();
    await request(cluster, true);
    await request(cluster, true);
    // The first connection brought two tickets; the second took one of them, for good.
    await Promise.all([1, 2, 3, 4].map(() => acquire(cluster, true)));
    await eventually(() => peer.handshakes.length === 6, "all handshakes are done");
    assert.equal(peer.handshakes.filter(({ resumed }) => resumed).length, 2);
  });

  it("closes idle connections on rotation, busy ones on release", async () => {
    const { peer, store, cluster } = await world();
    const [idle, busy] = [await request(cluster), await request(cluster)];
    idle.connection?.release(null);
    await offerClient(store, authority, { commonName: "second" });
    assert.deepEqual(cluster.stats(), { active: 1, idle: 0 });
    busy.connection?.write("more");
    await busy.until(() => busy.received === "answeranswer");
    busy.connection?.release(null);
    assert.deepEqual(cluster.stats(), { active: 0, idle: 0 });
    await eventually(() => peer.open.size === 0, "both are closed");
    const next = await request(cluster);
    assert.equal(next.connection?.served, 0);
    assert.equal(peer.handshakes.at(-1)?.subject, "second");
  });

  it("does the same when what it trusts is replaced", async () => {
    const { store, cluster } = await world();
    (await request(cluster)).connection?.release(null);
    const other = await createAuthority("Other CA");
    offerTrust(store, authority.certificate, other.certificate);
    assert.equal(cluster.stats().idle, 0);
    assert.equal((await request(cluster)).received, "answer");
    offerTrust(store, other.certificate);
    assert.match((await request(cluster)).last, /^failed upstream_certificate_untrusted/);
  });

  it("leaves alone what another name's change does not concern", async () => {
    const { store, cluster } = await world();
    (await request(cluster)).connection?.release(null);
    const { certificate, privateKey } = await authority.issue({ commonName: "somebody else" });
    const origin = { subject: { kind: "Secret", namespace: "default", name: "other" } };
    store.offer("secret/default/other", { certificateChain: certificate, privateKey }, origin);
    store.remove("secret/default/other");
    assert.equal(cluster.stats().idle, 1);
  });

  it("cuts what is still busy when its time is over", async () => {
    const { store, cluster } = await world({ limits: { retireMs: 100 } });
    const busy = await request(cluster);
    await offerClient(store, authority, { commonName: "second" });
    const next = await request(cluster);
    await busy.until(() => busy.last === "closed upstream_reset: its credential is retired");
    assert.equal(next.events.length, 2);
  });

  it("uses no connection past its certificate", async () => {
    const { store, cluster } = await world();
    await offerClient(store, authority, {
      commonName: "brief",
      notAfter: new Date(soon()),
    });
    const [busy, idle] = [await request(cluster), await request(cluster)];
    idle.connection?.release(null);
    assert.equal(busy.connection?.identityPresented, "CN=brief (generation 2)");
    await busy.until(() => busy.last.startsWith("closed"));
    assert.deepEqual(cluster.stats(), { active: 0, idle: 0 });
    assert.match((await acquire(cluster)).last, /^failed credential_unavailable/);
  });

  it("uses no idle connection past its certificate, though every timer is late", async () => {
    let ahead = 0;
    // A machine that slept: the time is another, and no timer has fired yet.
    const clock: Clock = { now: () => Date.now() + ahead, after: () => () => undefined };
    const store = new CredentialStore(clock);
    const { cluster } = await world({ store, clock });
    (await request(cluster)).connection?.release(null);
    assert.equal(cluster.stats().idle, 1);
    ahead = 91 * 24 * 3_600_000;
    assert.match((await acquire(cluster)).last, /^failed credential_unavailable/);
    assert.deepEqual(cluster.stats(), { active: 0, idle: 0 });
  });

  it("resumes no session past the certificate that its peer showed", async () => {
    const notAfter = soon();
    const brief = await authority.issue({
      commonName: "upstream.test",
      dnsNames: ["upstream.test"],
      notAfter: new Date(notAfter),
    });
    const { cluster } = await world({}, "TLSv1.3", brief);
    assert.equal((await request(cluster, true)).received, "answer");
    await new Promise((resolve) => setTimeout(resolve, notAfter + 1100 - Date.now()));
    assert.match((await acquire(cluster, true)).last, /^failed upstream_certificate_expired/);
  });

  it("goes on over no connection past the certificate that its peer showed, idle or in use", async () => {
    const notAfter = soon();
    const brief = await authority.issue({
      commonName: "upstream.test",
      dnsNames: ["upstream.test"],
      notAfter: new Date(notAfter),
    });
    const { cluster, peer } = await world({}, "TLSv1.3", brief);
    const [busy, idle] = [await request(cluster), await request(cluster, true)];
    idle.connection?.release(null);
    assert.equal(peer.open.size, 2);
    await busy.until(() => busy.last.startsWith("closed"));
    assert.match(busy.last, /^closed upstream_reset: its peer's certificate has ended/);
    assert.ok(Date.now() >= notAfter - 100);
    assert.deepEqual(cluster.stats(), { active: 0, idle: 0 });
  });

  it("has a peer show its certificate again after an hour, however one session led to the next", async (t) => {
    const now = Date.now.bind(Date);
    let ahead = 0;
    t.mock.method(Date, "now", () => now() + ahead);
    const { cluster, peer } = await world();
    for (const minutes of [0, 30, 59, 62, 63]) {
      ahead = minutes * 60_000;
      assert.equal((await request(cluster, true)).received, "answer");
    }
    assert.deepEqual(
      peer.handshakes.map(({ resumed }) => resumed),
      [false, true, true, false, true],
    );
  });

  it("fails at once when its credential or trust is removed, waiting requests included", async () => {
    for (const name of [CREDENTIAL, TRUST]) {
      const { store, cluster, peer } = await world();
      (await request(cluster)).connection?.release(null);
      const waiting = new Requester();
      cluster.acquire(waiting, true);
      store.remove(name);
      assert.match(waiting.last, /^failed credential_unavailable/);
      assert.match((await acquire(cluster)).last, /^failed credential_unavailable/);
      assert.deepEqual(cluster.stats(), { active: 0, idle: 0 });
      await eventually(() => peer.open.size === 0, "nothing stays open");
      assert.equal(peer.handshakes.length, 1);
    }
  });

  it("begins again when the peer refuses a credential that was replaced meanwhile", async () => {
    const { peer, store, cluster } = await world();
    const dialled: Socket[] = [];
    const front = await tcpPeer((socket) => void dialled.push(socket));
    open.push(front);
    const endpoints = [front.endpoint];
    const moving = setUp({ tls: mutualTls(), endpoints: { resolve: () => endpoints.slice(0, 1) }, store });
    open.push(moving);
    const waiting = new Requester();
    moving.cluster.acquire(waiting, false);
    await eventually(() => dialled.length === 1, "the first dial");
    await offerClient(store, authority, { commonName: "second" });
    endpoints[0] = peer.endpoint;
    for (const socket of dialled) socket.destroy();
    await waiting.until(() => waiting.events.length > 0);
    assert.equal(waiting.connection?.identityPresented, "CN=second (generation 2)");
    assert.equal(cluster.stats().active, 0);
  });

  it("loses no request while credentials are replaced again and again", async () => {
    const { store, cluster } = await world();
    let failed = "";
    let done = 0;
    let stop = false;
    const client = async (): Promise<void> => {
      while (!stop) {
        const { received, last, connection } = await request(cluster);
        if (received === "answer") done++;
        else failed ||= last;
        connection?.release(null);
      }
    };
    const clients = Promise.all(Array.from({ length: 8 }, client));
    for (let turn = 0; turn < 40; turn++) {
      await offerClient(store, authority, { commonName: `turn ${turn}` });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    stop = true;
    await clients;
    assert.equal(failed, "");
    assert.ok(done > 40);
  });
});

/** An end for a certificate: a whole second, and late enough that a busy machine has used it before. */
function soon(): number {
  return Math.floor(Date.now() / 1000) * 1000 + 5000;
}
