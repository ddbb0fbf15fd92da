import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { TlsOptions } from "node:tls";
import { CredentialStore } from "../../../../src/credentials/store.ts";
import type { HandshakeReason } from "../../../../src/diagnostics/handshake.ts";
import { DnsFailure, type Endpoint } from "../../../../src/endpoints/endpoint.ts";
import type { PeerRules, UpstreamTls } from "../../../../src/model/tls.ts";
import { systemClock } from "../../../../src/telemetry/clock.ts";
import { type Authority, createAuthority, type IssueOptions } from "../../../../src/x509/authority.ts";
import {
  acquire,
  mutualTls,
  named,
  offerClient,
  offerTrust,
  PARAMETERS,
  request,
  setUp,
} from "./cluster-setup.ts";
import { closedPort, opensslPeer, tcpPeer, tlsPeer } from "./peer.ts";

const DAY_MS = 86_400_000;

describe("why a handshake with an upstream failed, as the peer and TLS let one tell", () => {
  let authority: Authority;
  let stranger: Authority;
  const open: { close(): unknown }[] = [];

  before(async () => {
    [authority, stranger] = await Promise.all([createAuthority("Test CA"), createAuthority("Stranger CA")]);
  });
  after(() => Promise.all(open.map((one) => one.close())));

  async function peerWith(
    issue: Partial<IssueOptions>,
    options: TlsOptions = {},
    by = authority,
  ): Promise<Endpoint> {
    const issued = await by.issue({ commonName: "peer", dnsNames: ["upstream.test"], ...issue });
    const peer = await tlsPeer({ cert: issued.certificate, key: issued.privateKey, ...options });
    open.push(peer);
    return peer.endpoint;
  }

  async function reasonAt(
    endpoint: Endpoint,
    tls: UpstreamTls = mutualTls(),
    connectTimeoutMs = 3000,
  ): Promise<HandshakeReason | undefined> {
    const store = new CredentialStore(systemClock);
    await offerClient(store, authority, { commonName: "gateway" });
    offerTrust(store, authority.certificate);
    const setup = setUp({ tls, endpoints: [endpoint], store, connectTimeoutMs });
    open.push(setup, store);
    return (await request(setup.cluster)).handshake;
  }

  const ruled = (rules: PeerRules): UpstreamTls =>
    mutualTls({ verification: { ...named("upstream.test"), rules } as never });

  it("what its certificate lacks, whoever of OpenSSL and us looked first", async () => {
    const intermediate = await authority.issueAuthority("Issuing CA");
    const cut = await intermediate.issue({ commonName: "peer", dnsNames: ["upstream.test"] });
    const [leaf = ""] = cut.certificate.split(/(?<=-----END CERTIFICATE-----)\s*/);
    const spiffe = { dnsNames: [], uris: ["spiffe://td.test/ns/a/sa/b"] };
    const cases: readonly [HandshakeReason, Endpoint, UpstreamTls?][] = [
      [
        "certificate_expired",
        await peerWith({
          notAfter: new Date(Date.now() - DAY_MS),
          notBefore: new Date(Date.now() - 2 * DAY_MS),
        }),
      ],
      ["certificate_not_yet_valid", await peerWith({ notBefore: new Date(Date.now() + DAY_MS) })],
      ["issuer_unknown", await peerWith({}, {}, stranger)],
      ["self_signed_leaf", await selfSigned()],
      ["name_mismatch", await peerWith({ dnsNames: ["other.test"] })],
      ["purpose_wrong", await peerWith({ usage: "client" })],
      [
        "spiffe_id_mismatch",
        await peerWith(spiffe),
        ruled({ identities: { spiffeIds: ["spiffe://td.test/ns/a/sa/c"] } }),
      ],
      ["pin_mismatch", await peerWith({}), ruled({ spkiSha256: [`${"A".repeat(43)}=`] })],
      ["chain_too_deep", await peerWith({}, {}, intermediate), ruled({ maxDepth: 0 })],
      ["issuer_unknown", await peerWith({}, { cert: leaf, key: cut.privateKey })],
    ];
    for (const [reason, endpoint, tls] of cases) assert.equal(await reasonAt(endpoint, tls), reason);
  });

  it("what the two sides cannot agree upon, by its alerts", async () => {
    const only = (parameters: Partial<typeof PARAMETERS>): UpstreamTls =>
      mutualTls({ parameters: { ...PARAMETERS, ...parameters } });
    const old = await peerWith({}, { maxVersion: "TLSv1.2" });
    assert.equal(await reasonAt(old, only({ minVersion: "v1.3" })), "no_common_version");
    const fresh = await peerWith({}, { minVersion: "TLSv1.3" });
    assert.equal(await reasonAt(fresh, only({ maxVersion: "v1.2" })), "no_common_version");
    // To a client these three look alike.
    const gcm = await peerWith({}, { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" });
    const cipher = only({ maxVersion: "v1.2", cipherSuites: ["ECDHE-ECDSA-AES128-GCM-SHA256"] });
    assert.equal(await reasonAt(gcm, cipher), "no_agreement");
    const curve = await peerWith({}, { ecdhCurve: "P-384" });
    assert.equal(await reasonAt(curve, only({ groups: ["P-256"] })), "no_agreement");
    const strict = await peerWith({}, { ALPNProtocols: ["spdy"] });
    assert.equal(await reasonAt(strict), "alpn_mismatch");
    const unknown = await alerting(112);
    assert.equal(await reasonAt(unknown), "sni_unknown");
  });

  it("what it says of our certificate, and of the lack of one", async () => {
    const issued = await authority.issue({ commonName: "peer", dnsNames: ["upstream.test"] });
    for (const flags of [[], ["-tls1_2"]]) {
      const refusing = await opensslPeer(issued, stranger.certificate, ...flags);
      open.push(refusing);
      assert.equal(await reasonAt(refusing.endpoint), "client_certificate_refused", flags.join());
    }
    const asking = await opensslPeer(issued, authority.certificate);
    open.push(asking);
    const { credential: _, ...without } = mutualTls();
    assert.equal(await reasonAt(asking.endpoint, without), "client_certificate_missing");
  });

  it("what is no TLS, or ends it", async () => {
    const peerThat = async (act: Parameters<typeof tcpPeer>[0]): Promise<Endpoint> => {
      const peer = await tcpPeer(act);
      open.push(peer);
      return peer.endpoint;
    };
    const answers = await peerThat((socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert.equal(await reasonAt(answers), "plaintext_peer");
    assert.equal(
      await reasonAt(await peerThat((socket) => void socket.once("data", () => socket.end()))),
      "handshake_closed",
    );
    const resets = await peerThat((socket) => void socket.once("data", () => socket.resetAndDestroy()));
    assert.equal(await reasonAt(resets), "handshake_reset");
    assert.equal(await reasonAt(await peerThat(() => undefined), mutualTls(), 200), "handshake_timeout");
    const garbage = await peerThat((socket) => void socket.write(Buffer.from([22, 3, 3, 0, 4, 99, 0, 0, 0])));
    assert.equal(await reasonAt(garbage), "handshake_failed");
  });

  it("what comes before it", async () => {
    assert.equal(await reasonAt(await closedPort()), "connect_refused");
    const unresolved = setUp({
      tls: { mode: "cleartext" },
      endpoints: { resolve: (host) => Promise.reject(new DnsFailure(host, "ENOTFOUND")) },
    });
    open.push(unresolved);
    assert.equal((await acquire(unresolved.cluster)).handshake, "dns_failure");
    const lacking = setUp({ tls: mutualTls(), endpoints: [] });
    open.push(lacking);
    assert.equal((await acquire(lacking.cluster)).handshake, "credential_unavailable");
  });

  async function selfSigned(): Promise<Endpoint> {
    const { execFileSync } = await import("node:child_process");
    const command =
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout - -days 1 -subj /CN=peer -addext subjectAltName=DNS:upstream.test -addext basicConstraints=critical,CA:FALSE";
    const pem = execFileSync("openssl", command.split(" "), {
      stdio: ["ignore", "pipe", "ignore"],
    }).toString();
    return peerWith({}, { cert: pem, key: pem });
  }

  async function alerting(description: number): Promise<Endpoint> {
    const peer = await tcpPeer((socket) => {
      socket.once("data", () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, description])));
    });
    open.push(peer);
    return peer.endpoint;
  }
});
