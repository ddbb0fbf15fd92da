import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { connect, createSecureContext, type SecureContextOptions, TLSSocket } from "node:tls";
import fc from "../support/fast-check.ts";
import type { CertificateFault } from "../../src/x509/faults.ts";
import { readRevocationList } from "../../src/x509/crl.ts";
import { parsed } from "../../src/x509/parsed-certificate.ts";
import { readRevocationLists } from "../../src/x509/revocation.ts";
import { type PeerVerdict, verifyPeer } from "../../src/x509/verify.ts";
import { type Issued, issue, issueList } from "../support/issuing.ts";
import { type CertificateWorld, certificateWorlds } from "./certificate-worlds.ts";

const RUNS = Number(process.env.CREDENCE_CERTIFICATE_RUNS ?? 300);

function judge({ leaf, sent, anchors, lists, usage }: CertificateWorld): PeerVerdict {
  const read = readRevocationLists(lists);
  const expected = {
    usage,
    anchors: anchors.map(({ certificate }) => certificate),
    ...(usage === "server" ? { name: "peer.example" } : {}),
    ...(lists.length > 0 && read.ok ? { revocation: { lists: read.lists, policy: "require" as const } } : {}),
  };
  const intermediates = sent.map(({ certificate }) => certificate);
  return verifyPeer(leaf.certificate, intermediates, expected, Date.now());
}

const OURS = issue({ subject: "ours" });
const OWN_SIDE = {
  cert: OURS.pem,
  key: OURS.keys.privateKey.export({ type: "pkcs8", format: "pem" }),
} as const;

/** What Node's OpenSSL says of the peer in a handshake with it; null: it is authorized. */
async function judgeByOpenSsl({
  leaf,
  sent,
  anchors,
  lists,
  usage,
}: CertificateWorld): Promise<string | null> {
  const theirs: SecureContextOptions = {
    cert: [leaf, ...sent].map(({ pem }) => pem).join(""),
    key: leaf.keys.privateKey.export({ type: "pkcs8", format: "pem" }),
    // What the peer itself may think of its certificate.
    ciphers: "DEFAULT@SECLEVEL=0",
  };
  const ours: SecureContextOptions = {
    ...OWN_SIDE,
    ca: anchors.map(({ pem }) => pem),
    allowPartialTrustChain: true,
    ...(lists.length > 0 ? { crl: [...lists] } : {}),
  };
  const [here, there] = duplexPair();
  const isServer = usage === "client";
  const [mine, peers] = [createSecureContext(ours), createSecureContext(theirs)];
  const server = new TLSSocket(here, {
    isServer: true,
    secureContext: isServer ? mine : peers,
    requestCert: isServer,
    rejectUnauthorized: false,
  });
  const client = connect({
    secureContext: isServer ? peers : mine,
    socket: there,
    servername: "peer.example",
    rejectUnauthorized: false,
  });
  try {
    await Promise.all([once(server, "secure"), once(client, "secureConnect")]);
    if (!isServer) return client.authorized ? null : String(client.authorizationError);
    // A server's socket that was made by itself has no `authorized`.
    const error = (server as unknown as WithHandle)._handle.verifyError();
    return error === null ? null : (error.code ?? "UNSPECIFIED");
  } catch (error) {
    return String(error);
  } finally {
    for (const socket of [server, client]) socket.on("error", () => {}).destroy();
    here.destroy();
    there.destroy();
  }
}

interface WithHandle {
  readonly _handle: { verifyError(): (Error & { code?: string }) | null };
}

/** What we refuse although OpenSSL does not. */
const STRICTER: readonly (readonly [CertificateFault, RegExp])[] = [
  // A policy could be asked for that nobody here can tell (RFC 5280 §6.1.5 g).
  ["critical_extension_unknown", /2\.5\.29\.36/],
  // OpenSSL takes the 112 bits of P-224 in a CA.
  ["key_weak", /P-224/],
  // Node falls back to the common name where there is no name (RFC 9525 §2).
  ["name_mismatch", /but for no name/],
  // RFC 8446 §4.4.2.2; OpenSSL takes a key for encipherment.
  ["purpose_wrong", /without digitalSignature/],
];

const GIVEN_UP = new Set(["CERT_SIGNATURE_FAILURE", "SELF_SIGNED_CERT_IN_CHAIN"]);

test("whom we accept OpenSSL accepts, and where we alone refuse it is for what OpenSSL does not look at", async () => {
  const seen = { accepted: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(certificateWorlds(), async (world) => {
      const ours = judge(world);
      const theirs = await judgeByOpenSsl(world);
      seen[ours.ok ? "accepted" : "refused"] += 1;
      if (ours.ok) {
        // OpenSSL asks for a list about the anchor itself, too, which a self-signed CA has made for others anyway.
        const anchor = ours.path.at(-1);
        const isAsked = ours.path.length === 1 || anchor?.subject !== anchor?.issuer;
        const wantsMore = world.lists.length > 0 && isAsked;
        // Of two CAs with one name it tries the first alone, and takes one that the other issued for its own issuer.
        const subjects = [...world.anchors, ...world.sent].map(({ certificate }) => certificate.subject);
        const gaveUp = GIVEN_UP.has(theirs ?? "") && new Set(subjects).size < subjects.length;
        if (!wantsMore && !gaveUp) assert.equal(theirs, null);
      } else if (theirs === null) {
        const known = STRICTER.some(([fault, says]) => fault === ours.fault && says.test(ours.message));
        assert.ok(known, `${ours.fault}: ${ours.message}`);
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(seen.accepted > RUNS / 10 && seen.refused > RUNS / 10, JSON.stringify(seen));
});

test("a changed certificate or list makes nothing throw, and nobody accepted who was refused", () => {
  let read = 0;
  const changes = fc.array(fc.tuple(mutations(), fc.nat(100)), { minLength: 10, maxLength: 20 });
  fc.assert(
    fc.property(certificateWorlds(), changes, (world, all) => {
      const before = judge(world);
      const certificates = [world.leaf, ...world.sent];
      for (const [mutate, pick] of all) {
        const victim = certificates[pick % certificates.length] as Issued;
        const changed = certificateOf(mutate(victim.certificate.raw));
        if (changed === null || changed.raw.equals(victim.certificate.raw)) continue;
        read += 1;
        const swap = (it: Issued): Issued => (it === victim ? { ...it, certificate: changed } : it);
        const after = { ...world, leaf: swap(world.leaf), sent: world.sent.map(swap) };
        const verdict = judge(after);
        if (!before.ok || victim === world.leaf) assert.equal(verdict.ok, false);
        judge({ ...after, anchors: [after.leaf, ...after.sent] });
      }
    }),
    { numRuns: RUNS },
  );
  assert.ok(read > RUNS, `${read} were still certificates to OpenSSL`);
});

test("whatever bytes a certificate or list has, reading it ends with a reason", () => {
  const { leaf } = fc.sample(certificateWorlds(), 1)[0] as CertificateWorld;
  const list = Buffer.from(issueList({ by: OURS, revoked: [leaf] }).replace(/-----.*-----/g, ""), "base64");
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
    mutations().map((mutate) => mutate(leaf.certificate.raw)),
    mutations().map((mutate) => mutate(list)),
  );
  let count = 0;
  fc.assert(
    fc.property(bytes, (raw) => {
      count += 1;
      const certificate = { raw, fingerprint256: String(count), subject: "" } as X509Certificate;
      const whole = parsed(certificate);
      assert.ok(typeof whole !== "string" || whole !== "");
      const read = readRevocationList(raw);
      assert.ok(typeof read !== "string" || read !== "");
      readRevocationLists([raw, raw.toString("latin1")]);
    }),
    { numRuns: RUNS * 20 },
  );
});

/** A few bytes changed, put in, taken out or doubled. */
function mutations(): fc.Arbitrary<(bytes: Buffer) => Buffer> {
  const one = fc.tuple(fc.constantFrom("set", "flip", "insert", "delete", "repeat"), fc.nat(), fc.nat(255));
  return fc.array(one, { minLength: 1, maxLength: 3 }).map((changes) => (bytes: Buffer) => {
    const array = [...bytes];
    for (const [kind, where, byte] of changes) {
      const at = where % array.length;
      if (kind === "set") array[at] = byte;
      else if (kind === "flip") array[at] = (array[at] as number) ^ (1 << (byte % 8));
      else if (kind === "insert") array.splice(at, 0, byte);
      else if (kind === "delete") array.splice(at, 1 + (byte % 4));
      else array.splice(at, 0, ...array.slice(at, at + 1 + (byte % 16)));
    }
    return Buffer.from(array);
  });
}

function certificateOf(bytes: Buffer): X509Certificate | null {
  try {
    return new X509Certificate(bytes);
  } catch {
    return null;
  }
}
