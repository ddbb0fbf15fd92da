import assert from "node:assert/strict";
import { type KeyObject, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { readOne } from "../../../src/x509/der-reader.ts";
import { readName } from "../../../src/x509/distinguished-name.ts";
import { verifyPeer } from "../../../src/x509/verify.ts";
import { implicit, integer, nothing, octets, oid, sequence, set, tagged, utf8 } from "../../support/der.ts";
import {
  ecKeys,
  extension,
  type Issued,
  issue,
  issueCa,
  keyIdOf,
  NAMES,
  nameOf,
  PURPOSES,
  rsaKeys,
} from "../../support/issuing.ts";
import { assertAccepted, assertFault, DAY, judge, leafOf, MIDDLE, NOW, ROOT } from "./verify-support.ts";

test("a sound chain is accepted, in any order, with its path and its earliest end", () => {
  const leaf = leafOf({ by: MIDDLE, notAfter: new Date(NOW + DAY) });
  const unrelated = issueCa({ subject: "unrelated" });
  const verdict = judge([leaf, unrelated, ROOT, MIDDLE]);
  assertAccepted(verdict);
  assert.deepEqual(
    verdict.path.map(({ subject }) => subject),
    ["CN=leaf", "CN=middle", "CN=root"],
  );
  assert.equal(verdict.identity, "peer.example");
  assert.equal(verdict.notAfter, Math.floor((NOW + DAY) / 1000) * 1000);
  // An intermediate may be the anchor, and so may the leaf.
  assertAccepted(judge([leaf], { anchors: [MIDDLE] }));
  assertAccepted(judge([leaf], { anchors: [leaf] }));
});

test("the second way up is taken where the first is past its end", () => {
  const keys = ecKeys();
  const old = issueCa({ subject: "cross", by: ROOT, keys, notAfter: new Date(NOW - DAY) });
  const fresh = issueCa({ subject: "cross", by: ROOT, keys });
  const leaf = leafOf({ by: fresh });
  assertAccepted(judge([leaf, old, fresh]));
  assertFault(judge([leaf, old]), "certificate_expired", /^CN=cross \(serial/, old);
});

test("a certificate past its end is refused, the leaf's, an intermediate's and the anchor's", () => {
  const past = { notAfter: new Date(NOW - DAY), notBefore: new Date(NOW - 2 * DAY) };
  const leaf = leafOf(past);
  assertFault(judge([leaf]), "certificate_expired", /^CN=leaf \(serial [0-9a-f]+\) expired at \d{4}-/, leaf);
  const middle = issueCa({ subject: "old middle", by: ROOT, ...past });
  assertFault(judge([leafOf({ by: middle }), middle]), "certificate_expired", /^CN=old middle /, middle);
  const root = issueCa({ subject: "old root", ...past });
  assertFault(
    judge([leafOf({ by: root })], { anchors: [root] }),
    "certificate_expired",
    /^CN=old root /,
    root,
  );
  // OpenSSL takes the last second for past.
  const end = Math.floor(NOW / 1000) * 1000 + DAY;
  const dayLong = leafOf({ notAfter: new Date(end) });
  assertAccepted(judge([dayLong], { now: end - 1 }));
  assertFault(judge([dayLong], { now: end }), "certificate_expired", /expired/);
});

test("a certificate before its beginning is refused", () => {
  const leaf = leafOf({ notBefore: new Date(NOW + DAY) });
  assertFault(judge([leaf]), "certificate_not_yet_valid", /is not valid before \d{4}-/, leaf);
  assertAccepted(judge([leaf], { now: NOW + 2 * DAY }));
});

test("a chain to a CA that is not trusted is refused", () => {
  const stranger = issueCa({ subject: "stranger" });
  const leaf = leafOf({ by: stranger });
  assertFault(
    judge([leaf]),
    "issuer_unknown",
    /^CN=leaf .* was issued by CN=stranger, which is neither trusted/,
    leaf,
  );
  assertFault(judge([leaf, stranger]), "issuer_unknown", /^CN=stranger .* none of the CAs/, stranger);
  assertFault(judge([leaf], { anchors: [] }), "issuer_unknown", /neither trusted/);
});

test("another CA of a trusted one's name is not it", () => {
  const namesake = issueCa({ subject: "root" });
  for (const authorityKey of ["key", "none", "key-and-serial"] as const) {
    const leaf = leafOf({ by: namesake, authorityKey });
    assertFault(judge([leaf]), "issuer_unknown", /has that name and another key/, leaf);
  }
});

test("an issuer that is left out is told from one that is unknown: it names who issued it", () => {
  const leaf = leafOf({ by: MIDDLE, authorityKey: "key-and-serial" });
  assertFault(
    judge([leaf]),
    "intermediate_missing",
    /issued by CN=middle, which was not sent.*CN=root/,
    leaf,
  );
  const stranger = issueCa({ subject: "stranger" });
  const theirs = issueCa({ subject: "their middle", by: stranger });
  assertFault(
    judge([leafOf({ by: theirs, authorityKey: "key-and-serial" })]),
    "issuer_unknown",
    /their middle/,
  );
});

test("an issuer that is left out is told from one that is unknown: a later link was sent", () => {
  const lower = issueCa({ subject: "lower", by: MIDDLE });
  assertFault(
    judge([leafOf({ by: lower }), MIDDLE]),
    "intermediate_missing",
    /by CN=lower, which was not sent.*CN=middle/,
  );
});

test("an issuer that is left out is told from one that is unknown: it is known from elsewhere", () => {
  const lower = issueCa({ subject: "lower", by: MIDDLE });
  const known = [lower.certificate, MIDDLE.certificate];
  const leaf = leafOf({ by: lower });
  assertFault(
    judge([leaf], { known }),
    "intermediate_missing",
    /by CN=lower, which was not sent; it is known here/,
  );
  assertFault(judge([leaf], { known: known.slice(0, 1) }), "issuer_unknown", /by CN=lower/);
});

test("an issuer that is left out is told from one that is unknown: an anchor of its organisation", () => {
  const root = issueCa({
    subject: nameOf([
      ["O", "Acme"],
      ["CN", "Acme Root"],
    ]),
  });
  const middle = issueCa({
    subject: nameOf([
      ["O", "Acme"],
      ["CN", "Acme Issuing 1"],
    ]),
    by: root,
  });
  const leaf = leafOf({ by: middle });
  assertFault(
    judge([leaf], { anchors: [root] }),
    "intermediate_missing",
    /by CN=Acme Issuing 1, O=Acme, which was not sent/,
  );
  assertFault(judge([leaf]), "issuer_unknown", /Acme Issuing 1/);
});

test("a self-signed leaf is refused unless it is trusted itself", () => {
  const own = issue({ subject: "self" });
  assertFault(judge([own]), "self_signed_leaf", /is self-signed/, own);
  assertAccepted(judge([own], { anchors: [own] }));
  // Its key has another certificate that is a CA: that one vouches for what it issued, never for a self-signed one.
  const twin = issueCa({ subject: "self", keys: own.keys });
  assertFault(judge([own], { anchors: [twin] }), "self_signed_leaf", /is self-signed/);
});

test("a signature that does not verify is refused", () => {
  const leaf = leafOf();
  const altered = Buffer.from(leaf.certificate.raw);
  altered.writeUInt8(altered.readUInt8(altered.length - 1) ^ 1, altered.length - 1);
  const forged: Issued = { ...leaf, certificate: new X509Certificate(altered) };
  assertFault(judge([forged]), "signature_invalid", /a signature that is not by CN=root/, forged);
  const impostor = { ...issueCa({ subject: "other" }), subject: ROOT.subject };
  const claimed = leafOf({
    by: impostor,
    authorityKey: "none",
    extensions: [extension("2.5.29.35", sequence(implicit(0, keyIdOf(ROOT.keys))))],
  });
  assertFault(judge([claimed]), "signature_invalid", /not by CN=root/);
});

test("who is no CA issues nothing", () => {
  const person = issue({ by: ROOT, subject: "person", keyUsage: ["digitalSignature", "keyCertSign"] });
  assertFault(judge([leafOf({ by: person }), person]), "issuer_not_ca", /CN=person .* is no CA/, person);
  const anchor = issue({ subject: "anchored person", keyUsage: null });
  assertFault(judge([leafOf({ by: anchor })], { anchors: [anchor] }), "issuer_not_ca", /is no CA/, anchor);
  const old = issueCa({ subject: "version 1", by: ROOT, version: 0 });
  assertFault(judge([leafOf({ by: old }), old]), "issuer_not_ca", /is no CA/, old);
  // Who trusts a root of version 1 says by it that it is a CA.
  const root = issueCa({ subject: "version 1 root", version: 0 });
  assertAccepted(judge([leafOf({ by: root })], { anchors: [root] }));
});

test("a CA whose key may not sign certificates issues nothing", () => {
  const mute = issueCa({ subject: "mute", by: ROOT, keyUsage: ["cRLSign"] });
  assertFault(judge([leafOf({ by: mute }), mute]), "issuer_not_ca", /no keyCertSign/, mute);
  const silent = issueCa({ subject: "silent", by: ROOT, keyUsage: null });
  assertAccepted(judge([leafOf({ by: silent }), silent]));
});

test("a path is no longer than its CAs allow, the anchor among them", () => {
  const narrow = issueCa({ subject: "narrow", by: ROOT, pathLength: 0 });
  const below = issueCa({ subject: "below", by: narrow });
  assertAccepted(judge([leafOf({ by: narrow }), narrow]));
  assertFault(
    judge([leafOf({ by: below }), below, narrow]),
    "path_too_long",
    /^CN=narrow .* allows 0 CAs/,
    narrow,
  );
  const root = issueCa({ subject: "narrow root", pathLength: 0 });
  const middle = issueCa({ subject: "under narrow root", by: root });
  assertFault(
    judge([leafOf({ by: middle }), middle], { anchors: [root] }),
    "path_too_long",
    /allows 0/,
    root,
  );
  // A new key of the same CA is no CA more (RFC 5280 §6.1.4 l).
  const renewed = issueCa({ subject: "narrow root", by: root, keys: ecKeys() });
  assertAccepted(judge([leafOf({ by: renewed }), renewed], { anchors: [root] }));
});

test("a path is no deeper than max_depth", () => {
  const lower = issueCa({ subject: "lower", by: MIDDLE });
  const chain = [leafOf({ by: lower }), lower, MIDDLE];
  assertAccepted(judge(chain, { maxDepth: 2 }));
  assertFault(
    judge(chain, { maxDepth: 1 }),
    "chain_too_deep",
    /has more intermediates above it \(2\) than are allowed \(1\)/,
  );
  assertAccepted(judge([leafOf()], { maxDepth: 0 }));
});

test("a critical extension that is not understood is refused wherever it is", () => {
  const strange = extension("1.3.6.1.4.1.55555.1", utf8("?"), true);
  const leaf = leafOf({ extensions: [strange] });
  assertFault(judge([leaf]), "critical_extension_unknown", /1\.3\.6\.1\.4\.1\.55555\.1, which is not/, leaf);
  const middle = issueCa({ subject: "strange", by: ROOT, extensions: [strange] });
  assertFault(judge([leafOf({ by: middle }), middle]), "critical_extension_unknown", /^CN=strange/, middle);
  const root = issueCa({ subject: "strange root", extensions: [strange] });
  assertFault(
    judge([leafOf({ by: root })], { anchors: [root] }),
    "critical_extension_unknown",
    /^CN=strange root/,
  );
  assertAccepted(judge([leafOf({ extensions: [extension("1.3.6.1.4.1.55555.1", utf8("?"))] })]));
  const policies = extension("2.5.29.32", sequence(sequence(oid("2.5.29.32.0"))), true);
  assertAccepted(judge([leafOf({ extensions: [policies] })]));
  for (const [id, value] of [
    ["2.5.29.36", sequence(implicit(0, Buffer.from([0])))],
    ["2.5.29.54", integer(0)],
    ["2.5.29.33", sequence(sequence(oid("1.3.6.1.4.1.55555.2"), oid("1.3.6.1.4.1.55555.3")))],
  ] as const) {
    const asking = extension(id, value, true);
    const says = new RegExp(`${id.replaceAll(".", "\\.")}, which is not understood`);
    assertFault(judge([leafOf({ extensions: [asking] })]), "critical_extension_unknown", says);
    const constrained = issueCa({ subject: "constrained", by: ROOT, extensions: [asking] });
    assertFault(judge([leafOf({ by: constrained }), constrained]), "critical_extension_unknown", says);
  }
});

test("an RSA key below 2048 bits is refused wherever it is", () => {
  const keys = rsaKeys(1024);
  const leaf = leafOf({ keys });
  assertFault(judge([leaf]), "key_weak", /^CN=leaf .* has an RSA key of 1024 bits/, leaf);
  const root = issueCa({ subject: "weak root", keys });
  assertFault(judge([leafOf({ by: root })], { anchors: [root] }), "key_weak", /^CN=weak root/, root);
  assertAccepted(judge([leafOf({ keys: rsaKeys(2048) })]));
});

test("an EC key below 256 bits is refused", () => {
  assertFault(judge([leafOf({ keys: ecKeys("secp224r1") })]), "key_weak", /an EC key on P-224/);
  assertAccepted(judge([leafOf({ keys: ecKeys("P-384") })]));
});

test("a signature with SHA-1 or MD5 is refused, but for the anchor's own", () => {
  const leaf = leafOf({ hash: "sha1" });
  assertFault(judge([leaf]), "signature_weak", /signed by ECDSA with SHA-1/, leaf);
  const keys = rsaKeys();
  const root = issueCa({ subject: "old root", keys, hash: "md5" });
  assertAccepted(judge([leafOf({ by: root })], { anchors: [root] }));
  const middle = issueCa({ subject: "old middle", by: root, hash: "md5" });
  assertFault(
    judge([leafOf({ by: middle }), middle], { anchors: [root] }),
    "signature_weak",
    /RSA with MD5/,
    middle,
  );
});

test("a leaf for another side of TLS is refused (extendedKeyUsage)", () => {
  const server = leafOf({ extendedKeyUsage: [PURPOSES.server] });
  const client = leafOf({ extendedKeyUsage: [PURPOSES.client] });
  assertAccepted(judge([server]));
  assertAccepted(judge([client], { usage: "client" }));
  assertFault(judge([server], { usage: "client" }), "purpose_wrong", /not meant for clients/, server);
  assertFault(judge([client]), "purpose_wrong", /not meant for servers \(extendedKeyUsage\)/, client);
  assertFault(
    judge([leafOf({ extendedKeyUsage: [PURPOSES.any] })]),
    "purpose_wrong",
    /not meant for servers/,
  );
  assertAccepted(judge([leafOf({ extendedKeyUsage: null })]));
});

test("a CA for another side of TLS is refused (extendedKeyUsage)", () => {
  const middle = issueCa({ subject: "for clients", by: ROOT, extendedKeyUsage: [PURPOSES.client] });
  const chain = [leafOf({ by: middle }), middle];
  assertFault(judge(chain), "purpose_wrong", /^CN=for clients .* not meant for servers/, middle);
  assertAccepted(judge(chain, { usage: "client" }));
});

test("a leaf whose key may not sign handshakes is refused (keyUsage)", () => {
  const leaf = leafOf({ keyUsage: ["keyEncipherment"] });
  assertFault(judge([leaf]), "purpose_wrong", /without digitalSignature/, leaf);
  assertAccepted(judge([leafOf({ keyUsage: null })]));
});

test("a leaf of Netscape's type for another side of TLS is refused", () => {
  const typed = leafOf({ extensions: [extension("2.16.840.1.113730.1.1", Buffer.from("03020780", "hex"))] });
  assertFault(judge([typed]), "purpose_wrong", /Netscape/, typed);
  assertAccepted(judge([typed], { usage: "client" }));
});

test("DER that RFC 5280 does not have is refused", () => {
  const twice = extension("2.5.29.17", sequence(NAMES.dns("peer.example")));
  assertFault(judge([leafOf({ extensions: [twice] })]), "certificate_malformed", /2\.5\.29\.17 twice/);
  const broken = leafOf({ extensions: [extension("2.5.29.30", octets(integer(1)))] });
  assertFault(judge([broken]), "certificate_malformed", /^CN=leaf cannot be read/, broken);
  // No constraints at all, and a list of permitted names that has none.
  for (const constraints of [nothing, sequence(tagged(0))]) {
    const middle = issueCa({
      subject: "broken",
      by: ROOT,
      extensions: [extension("2.5.29.30", constraints)],
    });
    assertFault(judge([leafOf({ by: middle }), middle]), "certificate_malformed", /^CN=broken/, middle);
  }
});

test("what a peer sends costs a bounded number of steps", (context) => {
  // Forty certificates of one name and key, each of which could have issued every other.
  const keys = ecKeys();
  const by = issueCa({ subject: "loop", keys });
  const loops = Array.from({ length: 40 }, () =>
    issueCa({ subject: "loop", by, keys, authorityKey: "none" }),
  );
  const [leaf, ...sent] = [leafOf({ by }), ...loops].map(({ certificate }) => certificate) as [
    X509Certificate,
    ...X509Certificate[],
  ];
  let signatures = 0;
  const { verify } = X509Certificate.prototype;
  context.mock.method(X509Certificate.prototype, "verify", function (this: X509Certificate, key: KeyObject) {
    signatures += 1;
    return verify.call(this, key);
  });
  const verdict = verifyPeer(leaf, sent, { usage: "server", anchors: [ROOT.certificate] }, NOW);
  assert.equal(verdict.ok, false);
  assert.ok(signatures >= 10 && signatures <= 200, `${signatures} signatures`);
});

test("long names and many are read in time", () => {
  // A pattern that took the square of the length would not end here before an hour.
  const long = sequence(set(sequence(oid("2.5.4.3"), utf8(`${" ".repeat(2_000_000)}x`))));
  assert.equal(readName(readOne(long)).key, '2.5.4.3="x"');
  const many = leafOf({ names: Array.from({ length: 3000 }, (_, index) => NAMES.dns(`n${index}.example`)) });
  assertFault(judge([many]), "name_mismatch", /and 2990 more/);
  assertAccepted(
    judge([leafOf({ subject: nameOf(Array.from({ length: 3000 }, () => ["O", "x"] as const)) })]),
  );
});
