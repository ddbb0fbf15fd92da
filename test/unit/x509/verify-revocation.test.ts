import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type RevocationLists,
  type RevocationRule,
  readRevocationLists,
} from "../../../src/x509/revocation.ts";
import { der, implicit, integer, sequence, tagged, utf8 } from "../../support/der.ts";
import { extension, issueCa, issueList, NAMES, rsaKeys } from "../../support/issuing.ts";
import { assertAccepted, assertFault, DAY, judge, leafOf, MIDDLE, NOW, ROOT } from "./verify-support.ts";

const OF_ROOT = issueList({ by: ROOT });
const OF_MIDDLE = issueList({ by: MIDDLE });
const STALE = { thisUpdate: new Date(NOW - 9 * DAY), nextUpdate: new Date(NOW - 2 * DAY) };

function readLists(...texts: (string | Uint8Array)[]): RevocationLists {
  const read = readRevocationLists(texts);
  assert.ok(read.ok, read.ok ? "" : read.reason);
  return read.lists;
}

function refusal(...texts: (string | Uint8Array)[]): string {
  const read = readRevocationLists(texts);
  assert.ok(!read.ok, "the list was taken");
  return read.reason;
}

function under(policy: RevocationRule["policy"], ...texts: string[]): { revocation: RevocationRule } {
  return { revocation: { lists: readLists(...texts), policy } };
}

const POLICIES = ["require", "allow-stale", "allow-missing"] as const;
const leaf = leafOf({ by: MIDDLE });
const chain = [leaf, MIDDLE];

test("a chain none of whose certificates is on its CA's list is accepted", () => {
  for (const policy of POLICIES) assertAccepted(judge(chain, under(policy, OF_ROOT, OF_MIDDLE)));
  const other = leafOf({ by: MIDDLE });
  assertAccepted(judge(chain, under("require", OF_ROOT, issueList({ by: MIDDLE, revoked: [other] }))));
  // One of the root itself says nothing of those below.
  assertAccepted(judge([leafOf()], under("require", OF_ROOT)));
});

test("a certificate on its CA's list is refused, the leaf's and an intermediate's, whatever the policy", () => {
  const lists = {
    leaf: issueList({ by: MIDDLE, revoked: [leafOf(), leaf] }),
    middle: issueList({ by: ROOT, revoked: [MIDDLE] }),
  };
  for (const policy of POLICIES) {
    const rule = under(policy, OF_ROOT, lists.leaf);
    assertFault(judge(chain, rule), "revoked", /^CN=leaf .* is revoked by CN=middle/, leaf);
    assertFault(judge(chain, under(policy, lists.middle, OF_MIDDLE)), "revoked", /^CN=middle/, MIDDLE);
  }
  // It is the more telling of the two.
  assertFault(judge(chain, under("require", lists.middle)), "revoked", /^CN=middle/);
});

test("a certificate on a stale list is refused as revoked", () => {
  const list = issueList({ by: MIDDLE, revoked: [leaf], ...STALE });
  for (const policy of POLICIES)
    assertFault(judge(chain, under(policy, OF_ROOT, list)), "revoked", /CN=leaf/, leaf);
  assertFault(judge(chain, under("require", OF_ROOT, list, OF_MIDDLE)), "revoked", /CN=leaf/, leaf);
});

test("every CA of the chain must have a list, unless crl_policy is allow-missing", () => {
  assertFault(
    judge(chain, under("require", OF_ROOT)),
    "crl_missing",
    /by CN=middle .* no revocation list/,
    leaf,
  );
  assertFault(judge(chain, under("require", OF_MIDDLE)), "crl_missing", /^CN=middle .* by CN=root/, MIDDLE);
  assertFault(judge(chain, under("allow-stale", OF_MIDDLE)), "crl_missing", /by CN=root/);
  assertAccepted(judge(chain, under("allow-missing", OF_MIDDLE)));
});

test("every list must be current, unless crl_policy is allow-stale", () => {
  const stale = issueList({ by: MIDDLE, ...STALE });
  assertFault(
    judge(chain, under("require", OF_ROOT, stale)),
    "crl_stale",
    /CN=middle .* was to be replaced until/,
    leaf,
  );
  assertAccepted(judge(chain, under("allow-stale", OF_ROOT, stale)));
  assertAccepted(judge(chain, under("require", OF_ROOT, stale, OF_MIDDLE)));
  const early = issueList({ by: MIDDLE, thisUpdate: new Date(NOW + DAY) });
  assertFault(judge(chain, under("require", OF_ROOT, early)), "crl_stale", /is not valid before/, leaf);
  const endless = issueList({ by: MIDDLE, nextUpdate: null });
  assertFault(judge(chain, under("require", OF_ROOT, endless)), "crl_stale", /does not say until when/, leaf);
});

test("a list that is not signed by the CA's key is no list", () => {
  const namesake = issueCa({ subject: "middle" });
  assertFault(
    judge(chain, under("require", OF_ROOT, issueList({ by: namesake }))),
    "crl_missing",
    /CN=middle/,
    leaf,
  );
  const forged = { ...MIDDLE, keys: { ...MIDDLE.keys, privateKey: namesake.keys.privateKey } };
  const list = issueList({ by: forged, revoked: [leaf] });
  assertFault(judge(chain, under("require", OF_ROOT, list)), "crl_missing", /CN=middle/, leaf);
  assertAccepted(judge(chain, under("allow-missing", OF_ROOT, list)));
});

test("a CA whose key may not sign lists has none", () => {
  const mute = issueCa({ subject: "mute", by: ROOT, keyUsage: ["keyCertSign"] });
  const verdict = judge([leafOf({ by: mute }), mute], under("require", OF_ROOT, issueList({ by: mute })));
  assertFault(verdict, "crl_missing", /CN=mute .*no cRLSign/);
});

test("a CA's earlier key may sign its list", () => {
  const renewed = issueCa({ subject: "root", by: ROOT });
  const below = leafOf({ by: renewed });
  assertAccepted(judge([below, renewed], under("require", OF_ROOT)));
  const revoking = issueList({ by: ROOT, revoked: [below] });
  assertFault(judge([below, renewed], under("require", OF_ROOT, revoking)), "revoked", /CN=leaf/, below);
});

test("a list about leaves or CAs alone is none of the others", () => {
  const about = (n: number) => [extension("2.5.29.28", sequence(implicit(n, Buffer.from([0xff]))), true)];
  const leaves = issueList({ by: ROOT, extensions: about(1) });
  const cas = issueList({ by: ROOT, extensions: about(2) });
  assertAccepted(judge(chain, under("require", cas, OF_MIDDLE)));
  assertFault(judge(chain, under("require", leaves, OF_MIDDLE)), "crl_missing", /CN=root/, MIDDLE);
  assertAccepted(judge([leafOf()], under("require", leaves)));
  assertFault(judge([leafOf()], under("require", cas)), "crl_missing", /CN=root/);
});

test("a list of one distribution point is about the certificates that name it", () => {
  const point = (uri: string) => tagged(0, tagged(0, NAMES.uri(uri)));
  const list = issueList({
    by: ROOT,
    extensions: [extension("2.5.29.28", sequence(point("http://crl.example/7")), true)],
  });
  const naming = (uri: string) =>
    leafOf({ extensions: [extension("2.5.29.31", sequence(sequence(point(uri))))] });
  assertAccepted(judge([naming("http://crl.example/7")], under("require", list)));
  assertFault(judge([naming("http://crl.example/8")], under("require", list)), "crl_missing", /CN=root/);
  assertFault(judge([leafOf()], under("require", list)), "crl_missing", /CN=root/);
});

test("lists are read from PEM with several in it and from DER, with their facts", () => {
  const lists = readLists(`made today\n${OF_ROOT}${OF_MIDDLE}`, OF_ROOT);
  assert.deepEqual(
    lists.facts.map(({ issuer, number, revoked }) => ({ issuer, number, revoked })),
    [
      { issuer: "CN=root", number: "01", revoked: 0 },
      { issuer: "CN=middle", number: "01", revoked: 0 },
    ],
  );
  const [first] = lists.facts;
  assert.ok(first && first.nextUpdate !== null && first.thisUpdate < NOW && first.nextUpdate > NOW);
  // A serial number that is not the shortest would be another one than its certificate's.
  const two = Buffer.from(
    issueList({ by: ROOT, revoked: [leafOf({ serial: 0x00ffn })] }).replace(/-----.*-----/g, ""),
    "base64",
  );
  two[two.indexOf(Buffer.from("020200ff", "hex")) + 3] = 0x7f;
  assert.match(refusal(two), /not the shortest/);
  const encoding = Buffer.from(OF_ROOT.replace(/-----.*-----/g, ""), "base64");
  assert.equal(readLists(encoding).facts[0]?.sha256, first.sha256);
  assert.equal(readLists(Buffer.from(OF_ROOT)).facts[0]?.sha256, first.sha256);
  assertAccepted(judge([leafOf()], under("require", issueList({ by: ROOT, version: 1 }))));
  const rsa = issueCa({ subject: "rsa", by: ROOT, keys: rsaKeys() });
  assertAccepted(judge([leafOf({ by: rsa }), rsa], under("require", OF_ROOT, issueList({ by: rsa }))));
});

test("lists that say less than they seem to are refused where they are read", () => {
  const only = (n: number) => extension("2.5.29.28", sequence(der(0x80 | n, Buffer.from([0xff]))), true);
  const list = (...extensions: Buffer[]) => issueList({ by: ROOT, extensions });
  assert.match(refusal(OF_ROOT, list(extension("2.5.29.27", integer(1), true))), /^list 2 is a delta list/);
  assert.match(refusal(list(only(4))), /is indirect/);
  assert.match(
    refusal(list(extension("2.5.29.28", sequence(der(0x83, Buffer.from([4, 0x40]))), true))),
    /some reasons/,
  );
  assert.match(refusal(list(only(5))), /attribute certificates/);
  assert.match(
    refusal(list(extension("1.3.6.1.4.1.55555.1", utf8("?"), true))),
    /critical extension 1\.3\.6/,
  );
  assert.doesNotMatch(
    readLists(list(extension("1.3.6.1.4.1.55555.1", utf8("?")))).facts[0]?.issuer ?? "",
    /\?/,
  );
  const entry = (id: string) =>
    issueList({ by: ROOT, revoked: [leaf], entryExtensions: [extension(id, utf8("?"), true)] });
  assert.match(refusal(entry("2.5.29.29")), /other CAs' certificates/);
  assert.match(refusal(entry("1.3.6.1.4.1.55555.1")), /entries with the critical extension 1\.3/);
});

test("lists that cannot be read or are signed by a broken algorithm are refused where they are read", () => {
  assert.match(refusal(issueList({ by: ROOT, hash: "sha1" })), /signed by ECDSA with SHA-1/);
  assert.match(refusal("nothing"), /there is no X509 CRL block/);
  assert.match(refusal(ROOT.pem), /there is no X509 CRL block/);
  assert.match(refusal("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"), /^list 1 cannot be read/);
  assert.match(refusal("-----BEGIN X509 CRL-----\n"), /not PEM/);
  // A serial number that is not the shortest would be another one than its certificate's.
  const two = Buffer.from(
    issueList({ by: ROOT, revoked: [leafOf({ serial: 0x00ffn })] }).replace(/-----.*-----/g, ""),
    "base64",
  );
  two[two.indexOf(Buffer.from("020200ff", "hex")) + 3] = 0x7f;
  assert.match(refusal(two), /not the shortest/);
  const encoding = Buffer.from(OF_ROOT.replace(/-----.*-----/g, ""), "base64");
  for (let cut = 1; cut < encoding.length; cut += 7)
    assert.match(refusal(encoding.subarray(0, cut)), /cannot be read|PEM/);
});

test("revocation holds for clients as it does for servers", () => {
  const rule = under("require", OF_ROOT, issueList({ by: MIDDLE, revoked: [leaf] }));
  assertFault(judge(chain, { usage: "client", ...rule }), "revoked", /CN=leaf/, leaf);
});

test("an expired certificate is said to be so before its list is asked", () => {
  const old = leafOf({ notAfter: new Date(NOW - DAY), notBefore: new Date(NOW - 2 * DAY) });
  assertFault(judge([old], under("require", OF_MIDDLE)), "certificate_expired", /expired/);
  assertAccepted(judge(chain, under("require", OF_MIDDLE, OF_ROOT)));
});
