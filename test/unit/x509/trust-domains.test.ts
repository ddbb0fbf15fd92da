import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { type Authority, createAuthority } from "../../../src/x509/authority.ts";
import { readTrustDomains } from "../../../src/x509/trust-domains.ts";
import { readAnchors, verifyPeer } from "../../../src/x509/verify.ts";

const ours = await createAuthority("ours");
const theirs = await createAuthority("theirs");
const anchors = readAnchors([ours.certificate, theirs.certificate]);
const domains = readTrustDomains({
  "ours.example": [ours.certificate],
  "theirs.example": [theirs.certificate],
});

async function verdict(authority: Authority, uris: string[], dnsNames: string[] = []) {
  const { certificate } = await authority.issue({ commonName: "peer", uris, dnsNames });
  const found = verifyPeer(
    new X509Certificate(certificate),
    [],
    { usage: "server", anchors, domains },
    Date.now(),
  );
  return found.ok ? "ok" : `${found.fault}: ${found.message}`;
}

test("the CA of a trust domain vouches for IDs of it", async () => {
  assert.equal(await verdict(ours, ["spiffe://ours.example/a"]), "ok");
  assert.equal(await verdict(theirs, ["spiffe://theirs.example/a"]), "ok");
});

test("and neither for those of another, nor of one that is not trusted", async () => {
  assert.match(
    await verdict(theirs, ["spiffe://ours.example/a"]),
    /^issuer_unknown: CN=peer .* ID of ours\.example, for which its CA CN=theirs .* may not vouch/,
  );
  assert.match(await verdict(ours, ["spiffe://theirs.example/a"]), /^issuer_unknown/);
  assert.match(
    await verdict(ours, ["spiffe://other.example/a"]),
    /^issuer_unknown: .*none of the trust domains/,
  );
});

test("nor for anybody without one SPIFFE ID", async () => {
  assert.match(await verdict(ours, [], ["ours.example"]), /^spiffe_id_mismatch: .* it is for/);
  assert.match(await verdict(ours, []), /^spiffe_id_mismatch/);
  assert.match(
    await verdict(ours, ["spiffe://ours.example/a", "spiffe://ours.example/b"]),
    /^spiffe_id_mismatch/,
  );
});

test("a CA that two domains share vouches for both", async () => {
  const shared = readTrustDomains({ "a.example": [ours.certificate], "b.example": [ours.certificate] });
  for (const domain of ["a.example", "b.example"]) {
    const { certificate } = await ours.issue({ commonName: "", uris: [`spiffe://${domain}/x`] });
    const expected = { usage: "server" as const, anchors, domains: shared };
    assert.equal(verifyPeer(new X509Certificate(certificate), [], expected, Date.now()).ok, true);
  }
});
