import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { TlsOptions } from "node:tls";
import { CredentialStore } from "../../../../src/credentials/store.ts";
import type { Endpoint } from "../../../../src/endpoints/endpoint.ts";
import { DnsFailure } from "../../../../src/endpoints/endpoint.ts";
import type { UpstreamTls } from "../../../../src/model/tls.ts";
import { systemClock } from "../../../../src/telemetry/clock.ts";
import { type Authority, createAuthority, type IssueOptions } from "../../../../src/x509/authority.ts";
import {
  acquire,
  mutualTls,
  named,
  ORIGIN,
  offerClient,
  offerTrust,
  PARAMETERS,
  Requester,
  request,
  setUp,
  TRUST,
} from "./cluster-setup.ts";
import { closedPort, OPENSSL, opensslPeer, type Peer, tcpPeer, tlsPeer } from "./peer.ts";

const DAY_MS = 86_400_000;

describe("dialling an upstream", () => {
  let authority: Authority;
  let stranger: Authority;
  const open: { close(): unknown }[] = [];

  before(async () => {
    [authority, stranger] = await Promise.all([createAuthority("Test CA"), createAuthority("Stranger CA")]);
  });
  after(() => Promise.all(open.map((one) => one.close())));

  /** A peer with a certificate as `issue` says, which insists on a client certificate of the Test CA. */
  async function peerWith(
    issue: Partial<IssueOptions>,
    options: TlsOptions = {},
    by = authority,
  ): Promise<Peer> {
    const { certificate, privateKey } = await by.issue({ commonName: "upstream.test", ...issue });
    const peer = await tlsPeer({
      cert: certificate,
      key: privateKey,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
      ...options,
    });
    open.push(peer);
    return peer;
  }

  async function storeWith(issue: Partial<IssueOptions> = {}, by = authority): Promise<CredentialStore> {
    const store = new CredentialStore(systemClock);
    await offerClient(store, by, { commonName: "gateway", ...issue });
    offerTrust(store, authority.certificate);
    open.push(store);
    return store;
  }

  async function tryOnce(
    peer: { endpoint: Endpoint },
    tls: UpstreamTls,
    store?: CredentialStore,
    connectTimeoutMs = 3000,
  ): Promise<Requester> {
    const setup = setUp({
      tls,
      endpoints: [peer.endpoint],
      store: store ?? (await storeWith()),
      connectTimeoutMs,
    });
    open.push(setup);
    return request(setup.cluster);
  }

  it("presents the client certificate and verifies the peer's name", async () => {
    const peer = await peerWith({ dnsNames: ["upstream.test"] });
    const { connection, received } = await tryOnce(peer, mutualTls());
    assert.equal(received, "answer");
    assert.equal(peer.handshakes[0]?.subject, "gateway");
    assert.equal(peer.handshakes[0]?.serverName, "upstream.test");
    assert.equal(connection?.address, `127.0.0.1:${peer.endpoint.port}`);
    assert.equal(connection?.tlsVersion, "TLSv1.3");
    assert.match(connection?.tlsCipher ?? "", /^TLS_/);
    assert.equal(connection?.identityPresented, "CN=gateway (generation 1)");
    assert.equal(connection?.identityVerified, "upstream.test");
  });

  it("verifies an address among the SANs and sends no server name for it", async () => {
    const peer = await peerWith({ ipAddresses: ["127.0.0.1"] });
    const { sni: _, ...tls } = mutualTls({ verification: named("127.0.0.1") });
    const { connection } = await tryOnce(peer, tls);
    assert.equal(connection?.identityVerified, "127.0.0.1");
    assert.equal(peer.handshakes[0]?.serverName, false);
  });

  it("refuses a certificate for another name; the common name never counts", async () => {
    for (const issue of [{ dnsNames: ["other.test"] }, {}]) {
      const peer = await peerWith(issue);
      const { last } = await tryOnce(peer, mutualTls());
      assert.match(last, /^failed upstream_certificate_name_mismatch: .* is not for upstream\.test but for/);
      assert.equal(peer.received, "");
    }
  });

  it("refuses a certificate of a CA that is not trusted", async () => {
    const peer = await peerWith({ dnsNames: ["upstream.test"] }, {}, stranger);
    const { last } = await tryOnce(peer, mutualTls());
    assert.match(
      last,
      /^failed upstream_certificate_untrusted: .* issued by CN=Stranger CA, which is neither trusted/,
    );
    assert.equal(peer.received, "");
  });

  it("refuses a certificate that is no server's", async () => {
    const peer = await peerWith({ dnsNames: ["upstream.test"], usage: "client" });
    const { last } = await tryOnce(peer, mutualTls());
    assert.match(last, /^failed upstream_certificate_untrusted: .* is not meant for servers/);
  });

  it("refuses a certificate out of date, either way", async () => {
    const past = { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
    const future = { notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 2 * DAY_MS) };
    for (const [dates, says] of [
      [past, /expired at /],
      [future, /is not valid before /],
    ] as const) {
      const { last } = await tryOnce(await peerWith({ dnsNames: ["upstream.test"], ...dates }), mutualTls());
      assert.match(last, /^failed upstream_certificate_expired/);
      assert.match(last, says);
    }
  });

  it("takes a peer of the own SPIFFE trust domain for its name, and no other", async () => {
    const uris = ["spiffe://mesh.test/ns/default/sa/upstream"];
    const mesh = await storeWith({ uris: ["spiffe://mesh.test/ns/default/sa/gateway"] });
    const sameDomain = await tryOnce(await peerWith({ uris }), mutualTls(), mesh);
    assert.equal(sameDomain.connection?.identityVerified, uris[0]);

    const elsewhere = await storeWith({ uris: ["spiffe://other.test/gateway"] });
    for (const [issue, store] of [
      [{ uris }, elsewhere],
      [{ uris }, await storeWith()],
      [{ uris, dnsNames: ["other.test"] }, mesh],
      [{ dnsNames: [uris[0] as string] }, mesh],
    ] as const) {
      const { last } = await tryOnce(await peerWith(issue), mutualTls(), store);
      assert.match(last, /^failed upstream_certificate_name_mismatch/);
    }
  });

  it("verifies nothing where nothing is to be verified", async () => {
    const peer = await peerWith({}, {}, stranger);
    const { connection } = await tryOnce(peer, mutualTls({ verification: { mode: "none" } }));
    assert.equal(connection?.identityVerified, null);
    assert.equal(peer.handshakes[0]?.subject, "gateway");
  });

  // Node's own server closes without an alert where OpenSSL's would send one.
  for (const version of ["tls1_2", "tls1_3"] as const) {
    it(`names a client certificate that the peer refuses, ${version}`, { skip: !OPENSSL }, async () => {
      const issued = await authority.issue({ commonName: "upstream.test", dnsNames: ["upstream.test"] });
      const peer = await opensslPeer(issued, authority.certificate, `-${version}`);
      open.push(peer);
      const store = await storeWith({}, stranger);
      const { last } = await tryOnce(peer, mutualTls(), store);
      assert.match(last, /client_certificate_refused: TLS alert: unknown ca/);
    });
  }

  it("hears the refusal while it sends a large body", { skip: !OPENSSL }, async () => {
    const issued = await authority.issue({ commonName: "upstream.test", dnsNames: ["upstream.test"] });
    const peer = await opensslPeer(issued, authority.certificate, "-tls1_3");
    const setup = setUp({
      tls: mutualTls(),
      endpoints: [peer.endpoint],
      store: await storeWith({}, stranger),
    });
    open.push(peer, setup);
    const requester = await acquire(setup.cluster);
    const piece = Buffer.alloc(256 * 1024);
    const pump = setInterval(() => requester.connection?.writeBytes(piece), 0);
    await requester.until(() => requester.last.startsWith("closed"));
    clearInterval(pump);
    assert.match(requester.last, /client_certificate_refused: TLS alert: unknown ca/);
  });

  it("names a client certificate that is missing where the peer insists, TLS 1.3", async () => {
    const peer = await peerWith({ dnsNames: ["upstream.test"] });
    const { credential: _, ...tls } = mutualTls();
    const { last, connection } = await tryOnce(peer, tls);
    assert.match(last, /client_certificate_refused: TLS alert: certificate required/);
    assert.equal(connection?.identityPresented, null);
  });

  it("never dials without the credential or the trust it was told to use", async () => {
    const peer = await peerWith({ dnsNames: ["upstream.test"] });
    const nothing = await tryOnce(peer, mutualTls(), new CredentialStore(systemClock));
    assert.match(nothing.last, /^failed credential_unavailable: .*secret\/default\/client$/);

    const onlyClient = new CredentialStore(systemClock);
    open.push(onlyClient);
    await offerClient(onlyClient, authority, { commonName: "gateway" });
    const untrusting = await tryOnce(peer, mutualTls(), onlyClient);
    assert.match(untrusting.last, /^failed credential_unavailable: .*secret\/default\/ca$/);
    assert.equal(peer.accepted.length, 0);
  });

  it("says so of a peer that does not speak TLS", async () => {
    const http = await tcpPeer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const short = await tcpPeer((socket) => socket.end());
    open.push(http, short);
    const answered = await tryOnce(http, mutualTls());
    assert.match(
      answered.last,
      /^failed upstream_tls_handshake_failed: ERR_SSL_\w+: the peer does not speak TLS/,
    );
    const closed = await tryOnce(short, mutualTls());
    assert.match(closed.last, /^failed upstream_tls_handshake_failed: closed by the upstream during/);
  });

  it("tells a reset handshake from a closed one", async () => {
    const peer = await tcpPeer((socket) => socket.once("data", () => socket.resetAndDestroy()));
    open.push(peer);
    const { last } = await tryOnce(peer, mutualTls());
    assert.match(last, /^failed upstream_reset: ECONNRESET during the TLS handshake/);
  });

  it("fails the handshake when there is no common version, and with a peer that chooses h2", async () => {
    const old = await peerWith({ dnsNames: ["upstream.test"] }, { maxVersion: "TLSv1.2" });
    const { last } = await tryOnce(old, mutualTls({ parameters: { ...PARAMETERS, minVersion: "v1.3" } }));
    assert.equal(last, "failed upstream_tls_handshake_failed: TLS alert: protocol version @127.0.0.1");
    const h2 = await peerWith({ dnsNames: ["upstream.test"] }, { ALPNProtocols: ["h2"] });
    const chosen = await tryOnce(h2, mutualTls({ parameters: { ...PARAMETERS, alpn: ["h2", "http/1.1"] } }));
    assert.match(chosen.last, /^failed upstream_tls_handshake_failed: the peer chose h2/);
  });

  it("gives up after the connect timeout, handshake included", async () => {
    const silent = await tcpPeer(() => undefined);
    open.push(silent);
    const { last } = await tryOnce(silent, mutualTls(), undefined, 100);
    assert.match(last, /^failed upstream_connect_timeout: TLS handshake not finished within 100 ms/);
  });

  it("goes on to the next address when one refuses, and fails when all do", async () => {
    const peer = await tcpPeer();
    open.push(peer);
    const dead = [await closedPort(), await closedPort()];
    const setup = setUp({ tls: { mode: "cleartext" }, endpoints: [...dead, peer.endpoint] });
    const lost = setUp({ tls: { mode: "cleartext" }, endpoints: dead });
    open.push(setup, lost);
    for (let turn = 0; turn < 3; turn++) {
      assert.equal((await request(setup.cluster)).received, "answer");
    }
    const { last } = await acquire(lost.cluster);
    assert.equal(last, "failed upstream_connect_refused: ECONNREFUSED @127.0.0.1");
  });

  it("does not go on to another address from a peer that is not who it should be", async () => {
    const [impostor, peer] = await Promise.all([
      peerWith({ dnsNames: ["other.test"] }),
      peerWith({ dnsNames: ["upstream.test"] }),
    ]);
    const store = await storeWith();
    const setup = setUp({ tls: mutualTls(), endpoints: [peer.endpoint, impostor.endpoint], store });
    open.push(setup);
    assert.match((await acquire(setup.cluster)).last, /^failed upstream_certificate_name_mismatch/);
    assert.equal((await request(setup.cluster)).received, "answer");
  });

  it("dials nothing for an answer of DNS that nobody waits for any more", async () => {
    const peer = await peerWith({ dnsNames: ["upstream.test"] });
    const stale = await tcpPeer();
    const answers: ((endpoints: Endpoint[]) => void)[] = [];
    const store = await storeWith();
    const setup = setUp({
      tls: mutualTls(),
      endpoints: { resolve: () => new Promise((resolve) => answers.push(resolve)) },
      store,
    });
    open.push(setup, stale);
    const gone = new Requester();
    setup.cluster.acquire(gone, false);
    setup.cluster.cancel(gone);
    const waiting = new Requester();
    setup.cluster.acquire(waiting, false);
    // The CA comes from somewhere else now: what waits begins again, and asks again.
    store.offer(TRUST, { certificateChain: authority.certificate }, ORIGIN);
    assert.equal(answers.length, 3);
    answers[0]?.([stale.endpoint]);
    answers[1]?.([stale.endpoint]);
    answers[2]?.([peer.endpoint]);
    await waiting.until(() => waiting.events.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual([gone.events, waiting.events], [[], ["ready"]]);
    assert.equal(stale.accepted.length, 0);
  });

  it("tries addresses in turn", async () => {
    const peers = await Promise.all([tcpPeer(), tcpPeer()]);
    open.push(...peers);
    const setup = setUp({ tls: { mode: "cleartext" }, endpoints: peers.map(({ endpoint }) => endpoint) });
    open.push(setup);
    for (let turn = 0; turn < 4; turn++) await request(setup.cluster);
    assert.deepEqual(
      peers.map(({ accepted }) => accepted.length),
      [2, 2],
    );
  });

  it("reports a name without addresses, found out at once or later, and one that never resolves", async () => {
    const failing = setUp({
      tls: { mode: "cleartext" },
      endpoints: { resolve: (host) => Promise.reject(new DnsFailure(host, "ENOTFOUND")) },
    });
    const empty = setUp({ tls: { mode: "cleartext" }, endpoints: [] });
    const never = setUp({
      tls: { mode: "cleartext" },
      endpoints: { resolve: () => new Promise(() => undefined) },
      connectTimeoutMs: 50,
    });
    open.push(failing, empty, never);
    const { last } = await acquire(failing.cluster);
    assert.equal(last, "failed upstream_dns_failure: no address for upstream.test: ENOTFOUND");
    assert.match((await acquire(empty.cluster)).last, /^failed upstream_dns_failure/);
    assert.match((await acquire(never.cluster)).last, /^failed upstream_dns_failure: .* within 50 ms$/);
  });

  it("survives an endpoint that cannot be dialled at all", async () => {
    const setup = setUp({
      tls: { mode: "cleartext" },
      endpoints: [{ address: "127.0.0.1", port: 70_000 }],
    });
    open.push(setup);
    assert.match((await acquire(setup.cluster)).last, /^failed upstream_connect_failed: ERR_SOCKET_BAD_PORT/);
  });
});
