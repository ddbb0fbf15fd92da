import assert from "node:assert/strict";
import { createPrivateKey, type X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import fc from "../../support/fast-check.ts";
import type { IssueOptions } from "../../../src/x509/authority.ts";
import { issueCa } from "../../support/issuing.ts";
import { parseCertificate, subjectAlternativeNames } from "../../../src/x509/certificate.ts";
import { certificateFacts } from "../../../src/x509/facts.ts";
import { spiffeIdOf, trustDomainOf } from "../../../src/x509/spiffe.ts";
import { certificates } from "../../support/certificates.ts";

async function issued(options: Partial<IssueOptions>): Promise<X509Certificate> {
  const { ca } = await certificates();
  const { certificate, privateKey } = await ca.issue({ commonName: "subject", ...options });
  const parsed = parseCertificate(certificate) as X509Certificate;
  assert.ok(parsed.checkPrivateKey(createPrivateKey(privateKey)));
  assert.ok(parsed.verify((parseCertificate(ca.certificate) as X509Certificate).publicKey));
  return parsed;
}

/** As Node renders it, without a certificate that has such names. */
function named(subjectAltName: string): ReturnType<typeof subjectAlternativeNames> {
  return subjectAlternativeNames({ subjectAltName } as X509Certificate);
}

describe("certificate facts", () => {
  it("are what was issued", async () => {
    const notBefore = new Date("2026-01-02T03:04:05Z");
    const notAfter = new Date("2026-05-06T07:08:09Z");
    const facts = certificateFacts(
      await issued({
        dnsNames: ["a.b"],
        ipAddresses: ["127.0.0.1"],
        uris: ["spiffe://td/x"],
        notBefore,
        notAfter,
      }),
    );
    assert.partialDeepStrictEqual(facts, {
      subject: "CN=subject",
      issuer: "CN=test CA",
      dnsNames: ["a.b"],
      ipAddresses: ["127.0.0.1"],
      uris: ["spiffe://td/x"],
      notBefore: notBefore.getTime(),
      notAfter: notAfter.getTime(),
      keyType: "EC P-256",
      isCa: false,
      keyUsage: ["digitalSignature"],
      pathLength: null,
    });
    const narrow = issueCa({ subject: "narrow", pathLength: 1 }).certificate;
    assert.partialDeepStrictEqual(certificateFacts(narrow), {
      keyUsage: ["keyCertSign", "cRLSign"],
      pathLength: 1,
      extendedKeyUsage: null,
    });
    assert.match(facts.sha256, /^[0-9a-f]{64}$/);
    assert.match(facts.serial, /^[0-9a-f]{32}$/);
  });

  it("name the key's type", async () => {
    for (const [keyType, name] of [
      ["rsa", "RSA 2048"],
      ["ed25519", "Ed25519"],
    ] as const) {
      assert.equal(certificateFacts(await issued({ keyType })).keyType, name);
    }
  });

  it("take a subject for a value, whatever it looks like", async () => {
    const { subject, isCa } = certificateFacts(await issued({ commonName: "a, O=Other", ca: true }));
    assert.equal(subject, "CN=a\\, O=Other");
    assert.equal(isCa, true);
  });

  it("split names where they end, not where they seem to", async () => {
    const uris = ["spiffe://td/a, DNS:evil.example", 'urn:"quoted"\\'];
    const names = subjectAlternativeNames(await issued({ uris, dnsNames: ["one.example", "two.example"] }));
    assert.deepEqual(names, { uris, dnsNames: ["one.example", "two.example"], ipAddresses: [] });
  });

  it("have IPv6 addresses in the text of RFC 5952", async () => {
    const ipAddresses = ["10.1.2.3", "2001:db8::1", "::1", "fe80::1:0:0:1", "2001:db8:0:1:1:1:1:1", "::"];
    assert.deepEqual(certificateFacts(await issued({ ipAddresses })).ipAddresses, ipAddresses);
  });

  it("skip kinds of names that they do not know, and go on behind them", () => {
    const text =
      'X400Name:<unsupported>, DirName:"CN=a\\u002cO=b", othername: UPN::x@y, Registered ID:1.2.3, email:a@b, DNS:last';
    assert.deepEqual(named(text).dnsNames, ["last"]);
    assert.deepEqual(named(""), { dnsNames: [], ipAddresses: [], uris: [] });
  });

  it("are null or facts for any bytes", async () => {
    const { ca } = await certificates();
    const der = Buffer.from((parseCertificate(ca.certificate) as X509Certificate).raw);
    fc.assert(
      fc.property(fc.nat(der.length - 1), fc.nat(255), (place, byte) => {
        const changed = Buffer.from(der);
        changed[place] = byte;
        const certificate = parseCertificate(changed);
        if (certificate !== null) assert.equal(typeof certificateFacts(certificate).subject, "string");
      }),
      { numRuns: 1000 },
    );
  });
});

describe("SPIFFE IDs", () => {
  it("have a trust domain", () => {
    assert.equal(trustDomainOf("spiffe://cluster.local/ns/default/sa/web"), "cluster.local");
    assert.equal(trustDomainOf("spiffe://td"), "td");
  });

  for (const uri of [
    "https://td/x",
    "SPIFFE://td/x",
    "spiffe:/td/x",
    "spiffe://",
    "spiffe:///x",
    "spiffe://TD/x",
    "spiffe://td:80/x",
    "spiffe://user@td/x",
    "spiffe://td/x?q",
    "spiffe://td/x#f",
    "spiffe://td/",
    "spiffe://td//x",
    "spiffe://td/x/",
    "spiffe://td/../x",
    "spiffe://td/./x",
    "spiffe://td/a%2fb",
    "spiffe://td/x\n",
    `spiffe://${"a".repeat(256)}/x`,
    `spiffe://td/${"a".repeat(2048)}`,
  ]) {
    it(`is none: ${JSON.stringify(uri).slice(0, 40)}`, () => assert.equal(trustDomainOf(uri), null));
  }

  it("count only where there is exactly one URI", () => {
    assert.equal(spiffeIdOf(["spiffe://td/x"]), "spiffe://td/x");
    assert.equal(spiffeIdOf([]), undefined);
    assert.equal(spiffeIdOf(["spiffe://td/x", "https://a"]), undefined);
    assert.equal(spiffeIdOf(["https://a"]), undefined);
  });
});
