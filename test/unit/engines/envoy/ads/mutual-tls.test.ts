import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { Duplex } from "node:stream";
import { type TestContext, test } from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import type { Refusal } from "../../../../../src/engines/envoy/ads/handshake-failure.ts";
import { PEER, listen } from "../../../../../src/engines/envoy/ads/transport.ts";
import { AggregatedDiscoveryService } from "../../../../../src/protobuf/generated/envoy/service/discovery/v3/ads_pb.js";
import { systemClock } from "../../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../../src/telemetry/logger.ts";
import { fingerprint } from "../../../../../src/x509/certificate.ts";
import { type Issued, issue, issueCa, NAMES, PURPOSES } from "../../../../support/issuing.ts";
import { until } from "../../../../support/until.ts";

const DAY_MS = 86_400_000;
const root = issueCa({ subject: "Fleet CA" });
const stranger = issueCa({ subject: "Stranger" });
const serverLeaf = issue({
  by: root,
  subject: "xds",
  names: [NAMES.dns("localhost")],
  extendedKeyUsage: [PURPOSES.server],
});
const edge = (options: Partial<Parameters<typeof issue>[0]> = {}): Issued =>
  issue({ by: root, subject: "edge", extendedKeyUsage: [PURPOSES.client], ...options });
const good = edge();

function identity({ pem, keys }: Issued): { cert: string; key: string } {
  return { cert: pem, key: keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string };
}

async function start(t: TestContext) {
  const refusals: Refusal[] = [];
  const identities: string[] = [];
  const tls = (ca: Issued) => {
    const { cert, key } = identity(serverLeaf);
    return { certificateChain: cert, privateKey: key, clientCas: [ca.pem] };
  };
  const listening = await listen(
    { address: "127.0.0.1", port: 0, tls: tls(root) },
    (router) =>
      router.service(AggregatedDiscoveryService, {
        async *deltaAggregatedResources(_, context) {
          yield* [] as never[];
          identities.push(context.values.get(PEER).certificate?.subject ?? "nobody");
        },
      }),
    createLogger("silent"),
    systemClock,
    (refusal) => refusals.push(refusal),
  );
  t.after(() => listening.close());
  /** Sends a whole request as early as TLS lets it. */
  const ask = async (
    options: ConnectionOptions,
  ): Promise<{ received: number; isResumed: boolean; session: Buffer | undefined }> => {
    const socket = connect({
      host: "127.0.0.1",
      port: listening.port as number,
      servername: "localhost",
      ca: root.pem,
      ALPNProtocols: ["h2"],
      ...options,
    });
    let received = 0;
    let isClosed = false;
    let isResumed = false;
    let session: Buffer | undefined;
    socket.on("secureConnect", () => {
      isResumed = socket.isSessionReused();
      session = socket.getSession();
    });
    socket.on("session", (ticket: Buffer) => {
      session = ticket;
    });
    socket
      .on("error", () => undefined)
      .on("close", () => {
        isClosed = true;
      });
    socket.on("data", (piece: Buffer) => {
      received += piece.length;
      // The stream's end, in its trailers.
      if (piece.includes("grpc-status")) socket.end();
      else setTimeout(() => socket.end(), 500).unref();
    });
    socket.write(await request());
    await until(() => isClosed);
    return { received, isResumed, session };
  };
  return { listening, tls, refusals, identities, ask };
}

/** What an HTTP/2 client writes that opens an ADS stream: preface, SETTINGS, HEADERS, and the end of the stream. */
async function request(): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const wire = new Duplex({
    read() {},
    write(piece: Buffer, _, done) {
      pieces.push(piece);
      done();
    },
  });
  const session = connectHttp2("http://localhost", { createConnection: () => wire });
  session.on("error", () => undefined);
  const path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc" });
  stream.on("error", () => undefined).end();
  await until(() => Buffer.concat(pieces).length > 100);
  session.destroy();
  return Buffer.concat(pieces);
}

const self = issue({ by: null, subject: "edge", extendedKeyUsage: [PURPOSES.client] });
const [expired, early, foreign, server] = [
  edge({ notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) }),
  edge({ notBefore: new Date(Date.now() + DAY_MS) }),
  edge({ by: stranger }),
  edge({ extendedKeyUsage: [PURPOSES.server] }),
];
const below = edge({ by: good });

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  const versions = { minVersion: version, maxVersion: version };

  test(`${version}: who is vouched for gets an answer`, async (t) => {
    const { ask, identities, refusals } = await start(t);
    const { received } = await ask({ ...versions, ...identity(good) });
    assert.ok(received > 0);
    assert.deepEqual([identities, refusals], [["CN=edge"], []]);
  });

  for (const [name, shown, reason] of [
    ["no certificate", null, "client_certificate_missing"],
    ["of an unknown CA", foreign, "issuer_unknown"],
    ["self-signed", self, "self_signed_leaf"],
    ["expired", expired, "certificate_expired"],
    ["not yet valid", early, "certificate_not_yet_valid"],
    ["for servers", server, "purpose_wrong"],
    ["issued by no CA", below, "issuer_not_ca"],
  ] as const)
    test(`${version}: not a byte for who is not: ${name}`, async (t) => {
      const { ask, identities, refusals } = await start(t);
      const chain = shown === below ? { cert: below.pem + good.pem } : {};
      const { received } = await ask({
        ...versions,
        ...(shown === null ? {} : { ...identity(shown), ...chain }),
      });
      await until(() => refusals.length > 0);
      assert.equal(received, 0);
      assert.deepEqual(identities, []);
      const [refusal] = refusals;
      assert.equal(refusal?.reason, reason, JSON.stringify(refusal));
      assert.equal(refusal?.address, "127.0.0.1");
      assert.ok((refusal?.remedy.length ?? 0) > 10);
      if (shown === null) assert.equal(refusal?.certificate, null);
      else
        assert.deepEqual(
          [refusal?.certificate?.subject, refusal?.certificate?.issuer, refusal?.certificate?.sha256],
          [shown.certificate.subject, shown.certificate.issuer, fingerprint(shown.certificate)],
        );
    });

  test(`${version}: a session of a good client lets in nobody, with or without its certificate`, async (t) => {
    const { ask, identities, refusals, listening, tls } = await start(t);
    const first = await ask({ ...versions, ...identity(good) });
    const { session } = first;
    assert.ok(session !== undefined);
    const again = (options: ConnectionOptions) => ask({ ...versions, session, ...options });
    const without = await again({});
    assert.equal(without.received, 0);
    const resumed = await again(identity(good));
    assert.equal(resumed.isResumed, false);
    assert.ok(resumed.received > 0);
    // Whoever was let in by a CA that is gone.
    listening.renew(tls(stranger));
    const withdrawn = await again(identity(good));
    assert.equal(withdrawn.received, 0);
    assert.deepEqual(identities, ["CN=edge", "CN=edge"]);
    await until(() => refusals.length === 2);
    assert.deepEqual(
      refusals.map(({ reason }) => reason),
      ["client_certificate_missing", "issuer_unknown"],
    );
  });
}

test("cleartext, and nothing at all, are told apart", async (t) => {
  const { listening, refusals } = await start(t);
  const socket = connectTcp(listening.port as number, "127.0.0.1", () =>
    socket.write("GET / HTTP/1.1\r\n\r\n"),
  );
  socket.on("error", () => undefined).resume();
  await until(() => refusals.length === 1);
  const silent = connectTcp(listening.port as number, "127.0.0.1", () => silent.end());
  silent.on("error", () => undefined).resume();
  await until(() => refusals.length === 2);
  assert.deepEqual(
    refusals.map(({ reason, certificate }) => [reason, certificate]),
    [
      ["plaintext_peer", null],
      ["handshake_closed", null],
    ],
  );
});
