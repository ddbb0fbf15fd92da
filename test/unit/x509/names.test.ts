import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import fc from "../../support/fast-check.ts";
import type { IssueOptions } from "../../../src/x509/authority.ts";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import { verifyPeerName } from "../../../src/x509/names.ts";
import { certificates } from "../../support/certificates.ts";

async function issued(options: Partial<IssueOptions>): Promise<X509Certificate> {
  const { ca } = await certificates();
  const { certificate } = await ca.issue({ commonName: "peer", ...options });
  return parseCertificate(certificate) as X509Certificate;
}

const presented = {
  dnsNames: ["api.example.com", "*.wild.example.com", "_grpc.svc"],
  ipAddresses: ["10.1.2.3", "2001:db8::1"],
  uris: ["spiffe://td/ns/a"],
};

describe("peer names (RFC 9525)", () => {
  for (const name of [
    "api.example.com",
    "API.Example.com",
    "api.example.com.",
    "a.wild.example.com",
    "_grpc.svc",
    "10.1.2.3",
    "2001:db8::1",
    "2001:0db8:0:0::0001",
  ]) {
    it(`accepts ${name}`, async () => {
      assert.equal(verifyPeerName(await issued(presented), name).ok, true);
    });
  }

  for (const name of [
    "example.com",
    ".example.com",
    ".wild.example.com",
    "wild.example.com",
    "a.b.wild.example.com",
    "*.wild.example.com",
    "xapi.example.com",
    "api.example.com.evil",
    "api.example.com..",
    "api.example.com\0",
    "",
    ".",
    "10.1.2.4",
    "2001:db8::2",
    "spiffe://td/ns/a",
    "peer",
  ]) {
    it(`refuses ${JSON.stringify(name)} and says what was presented`, async () => {
      const checked = verifyPeerName(await issued(presented), name);
      assert.deepEqual(checked, {
        ok: false,
        presented: [...presented.dnsNames, "10.1.2.3", "2001:db8::1", ...presented.uris],
      });
    });
  }

  it("never falls back to the common name", async () => {
    assert.equal(
      verifyPeerName(await issued({ commonName: "api.example.com" }), "api.example.com").ok,
      false,
    );
    const other = await issued({ commonName: "api.example.com", dnsNames: ["other.example.com"] });
    assert.equal(verifyPeerName(other, "api.example.com").ok, false);
  });

  it("an address in a DNS name is no address, and a name in none of them is no name", async () => {
    assert.equal(verifyPeerName(await issued({ dnsNames: ["10.1.2.3"] }), "10.1.2.3").ok, false);
    assert.equal(verifyPeerName(await issued({ ipAddresses: ["10.1.2.3"] }), "localhost").ok, false);
  });

  it("a wildcard is a complete label, or nothing", async () => {
    const partial = await issued({ dnsNames: ["a*.example.com", "b.*.example.com"] });
    assert.equal(verifyPeerName(partial, "ab.example.com").ok, false);
    assert.equal(verifyPeerName(partial, "b.c.example.com").ok, false);
  });

  it("never throws, and matches nothing that is not presented", async () => {
    const peer = await issued(presented);
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.domain(), fc.ipV6()), (name) => {
        const checked = verifyPeerName(peer, name);
        assert.ok(!checked.ok || /example|svc|^[\d.]+$|db8/i.test(name));
      }),
      { numRuns: 500 },
    );
  });
});
