import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { describe, it } from "node:test";
import fc from "../../support/fast-check.ts";
import { admitTrust } from "../../../src/credentials/trust-admission.ts";
import { admitIdentity } from "../../../src/credentials/identity-admission.ts";
import { certificates } from "../../support/certificates.ts";
import { pem } from "../../support/der.ts";
import { ecKeys, issue, issueCa, rsaKeys } from "../../support/issuing.ts";
import { selfSigned, withoutDates } from "./odd-certificates.ts";

function codeOf(admitted: ReturnType<typeof admitIdentity> | ReturnType<typeof admitTrust>): string {
  return admitted.ok ? "admitted" : admitted.finding.code;
}

const p256 = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const secrets = { cipher: "aes-256-cbc", passphrase: "secret" };

describe("admission of a key and chain", () => {
  it("takes RSA, ECDSA and Ed25519, and publishes exactly the block that it checked", async () => {
    const { ca } = await certificates();
    for (const keyType of ["rsa", "ec", "ed25519"] as const) {
      const { certificate, privateKey } = await ca.issue({ commonName: keyType, keyType });
      const admitted = admitIdentity(`commentary\n${certificate}`, `\uFEFFcommentary\n${privateKey}more`);
      assert.ok(admitted.ok);
      assert.equal(admitted.value.privateKey, privateKey);
      assert.equal(admitted.value.certificateChain, certificate);
      assert.deepEqual(admitted.warnings, []);
    }
  });

  it("takes PKCS#1 and SEC1", () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    const ec = p256();
    for (const [key, type] of [
      [rsa, "pkcs1"],
      [ec, "sec1"],
    ] as const) {
      const pem = key.export({ type, format: "pem" }).toString();
      assert.ok(admitIdentity(selfSigned(key), pem).ok, type);
      assert.ok(
        admitIdentity(
          selfSigned(key),
          `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${pem}`,
        ).ok,
      );
    }
  });

  it("refuses what is issued for other purposes than TLS", async () => {
    const { ca } = await certificates();
    const [server, client, any, mail] = [
      "1.3.6.1.5.5.7.3.1",
      "1.3.6.1.5.5.7.3.2",
      "2.5.29.37.0",
      "1.3.6.1.5.5.7.3.4",
    ];
    for (const [purposes, expected] of [
      [[], "admitted"],
      [[server], "admitted"],
      [[client], "admitted"],
      [[any], "admitted"],
      [[mail, client], "admitted"],
      [[mail], "certificate-purpose"],
      [[mail, "1.3.6.1.5.5.7.3.3"], "certificate-purpose"],
    ] as [string[], string][]) {
      const { certificate, privateKey } = await ca.issue({ commonName: "x", extendedKeyUsage: purposes });
      const admitted = admitIdentity(certificate, privateKey);
      assert.equal(codeOf(admitted), expected, purposes.join());
      if (admitted.ok)
        assert.deepEqual(admitted.value.facts[0]?.extendedKeyUsage, purposes.length === 0 ? null : purposes);
      else
        assert.match(
          admitted.finding.message,
          /^the extended key usage of CN=x \(serial .*\) allows neither .*: 1\.3\.6/,
        );
    }
  });

  it("says that a key is encrypted, in either form", async () => {
    const { client } = await certificates();
    const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    for (const type of ["pkcs8", "pkcs1"] as const) {
      const pem = key.export({ type, format: "pem", ...secrets }).toString();
      assert.equal(codeOf(admitIdentity(client.certificate, pem)), "private-key-encrypted", type);
    }
  });

  it("gives each fault its code", async () => {
    const { client, server } = await certificates();
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
    const small = generateKeyPairSync("ec", { namedCurve: "secp224r1" }).privateKey;
    const pkcs8 = (key: typeof weak): string => key.export({ type: "pkcs8", format: "pem" }).toString();
    const x25519 = pkcs8(generateKeyPairSync("x25519").privateKey);
    const { certificate, privateKey } = client;
    for (const [chain, key, code] of [
      [certificate, server.privateKey, "private-key-mismatch"],
      ["garbage", privateKey, "pem-invalid"],
      ["", privateKey, "secret-key-missing"],
      ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", privateKey, "pem-invalid"],
      [withoutDates(certificate), privateKey, "pem-invalid"],
      [certificate, "garbage", "private-key-invalid"],
      [certificate, certificate, "private-key-invalid"],
      [certificate, `${privateKey}${server.privateKey}`, "private-key-invalid"],
      [certificate, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private-key-invalid"],
      [certificate, x25519, "private-key-invalid"],
      [selfSigned(weak), pkcs8(weak), "certificate-key-weak"],
      [selfSigned(small), pkcs8(small), "certificate-key-weak"],
    ] as const) {
      assert.equal(codeOf(admitIdentity(chain, key)), code);
    }
  });

  it("refuses a key whose parts do not belong together: OpenSSL looks at the public ones alone, and no handshake would come about", () => {
    const [rsa, ec, other] = [rsaKeys(), ecKeys(), ecKeys()];
    const pkcs1 = rsa.privateKey.export({ type: "pkcs1", format: "der" });
    const torn = (at: number): Buffer => {
      const bytes = Buffer.from(pkcs1);
      bytes[bytes.length - at] = (bytes[bytes.length - at] as number) ^ 2;
      return bytes;
    };
    const sec1 = ec.privateKey.export({ type: "sec1", format: "der" });
    const halves = Buffer.from(sec1);
    halves.set(other.privateKey.export({ type: "sec1", format: "der" }).subarray(7, 39), 7);
    for (const [keys, label, der, says] of [
      [rsa, "RSA PRIVATE KEY", pkcs1, null],
      // The coefficient, an exponent of a prime, a prime.
      [rsa, "RSA PRIVATE KEY", torn(1), /its numbers do not belong together/],
      [rsa, "RSA PRIVATE KEY", torn(200), /its numbers do not belong together/],
      [rsa, "RSA PRIVATE KEY", torn(600), /its numbers do not belong together/],
      [ec, "EC PRIVATE KEY", sec1, null],
      [ec, "EC PRIVATE KEY", halves, /its public key is another's/],
    ] as const) {
      const admitted = admitIdentity(issue({ keys }).pem, pem(label, der));
      if (says === null) assert.ok(admitted.ok);
      else {
        assert.equal(codeOf(admitted), "private-key-invalid");
        assert.match(admitted.ok ? "" : admitted.finding.message, says);
      }
    }
  });

  it("is valid while all of its chain is", async () => {
    const { ca } = await certificates();
    const middle = await ca.issueAuthority("middle");
    const leaf = await middle.issue({
      commonName: "leaf",
      notBefore: new Date("2020-01-01T00:00:00Z"),
      notAfter: new Date("2049-01-01T00:00:00Z"),
    });
    const admitted = admitIdentity(leaf.certificate, leaf.privateKey);
    assert.ok(admitted.ok);
    const [, above] = admitted.value.facts;
    assert.equal(above?.subject, "CN=middle");
    assert.deepEqual([admitted.value.notBefore, admitted.value.notAfter], [above.notBefore, above.notAfter]);
  });

  it("puts a chain in order, leaves out what is no part of it, and says both", async () => {
    const { ca, server } = await certificates();
    const middle = await ca.issueAuthority("middle");
    const leaf = await middle.issue({ commonName: "leaf" });
    const [first, second] = leaf.certificate.split(/(?<=-----END CERTIFICATE-----\n)/);
    const admitted = admitIdentity(`${server.certificate}${second}${first}`, leaf.privateKey);
    assert.ok(admitted.ok);
    assert.deepEqual(
      admitted.value.facts.map(({ subject }) => subject),
      ["CN=leaf", "CN=middle"],
    );
    assert.equal(admitted.value.certificateChain, leaf.certificate);
    assert.deepEqual(
      admitted.warnings.map(({ code }) => code),
      ["certificate-chain-reordered", "certificate-chain-broken"],
    );
  });

  it("never throws, and no message quotes the material", async () => {
    const { client } = await certificates();
    const lines = [...client.certificate.split("\n"), ...client.privateKey.split("\n")];
    const text = fc.array(fc.oneof(fc.constantFrom(...lines), fc.string({ maxLength: 70 })), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(text, text, (chain, key) => {
        for (const admitted of [
          admitIdentity(chain.join("\n"), key.join("\n")),
          admitTrust(chain.join("\n")),
        ]) {
          if (admitted.ok) continue;
          for (const line of lines) {
            assert.ok(line.length < 10 || line.startsWith("-") || !admitted.finding.message.includes(line));
          }
        }
      }),
    );
  });
});

describe("admission of a CA bundle", () => {
  it("takes CAs, each once", async () => {
    const { ca, stranger } = await certificates();
    const admitted = admitTrust(ca.certificate + stranger.certificate + ca.certificate);
    assert.ok(admitted.ok);
    assert.deepEqual(
      admitted.value.anchors.map((anchor) => new X509Certificate(anchor).subject),
      ["CN=test CA", "CN=stranger CA"],
    );
  });

  it("is judged once for all who have it, but for its dates", () => {
    const shared = issueCa({ subject: "shared", notAfter: new Date(Date.now() + 3_600_000) });
    const [first, other, later] = [0, 0, 7_200_000].map((ms) => admitTrust(shared.pem, Date.now() + ms));
    assert.ok(first?.ok && other?.ok && later?.ok);
    assert.equal(first.value.anchors, other.value.anchors);
    assert.equal(first.value.facts[0], other.value.facts[0]);
    assert.deepEqual([first.flaws, other.flaws], [[], []]);
    assert.deepEqual(
      later.flaws?.map(({ code }) => code),
      ["certificate-expired"],
    );
  });

  it("takes a self-signed certificate that vouches for itself, with a warning", () => {
    const admitted = admitTrust(issue({}).pem);
    assert.ok(admitted.ok);
    assert.deepEqual(
      admitted.warnings.map(({ code }) => code),
      ["trust-not-ca"],
    );
    // Version 1 has no way to be marked as a CA, and is one to who trusts it.
    const old = admitTrust(selfSigned(p256()));
    assert.ok(old.ok);
    assert.deepEqual(old.warnings, []);
  });

  it("refuses nothing, garbage, and a certificate that nothing can chain to", async () => {
    const { ca, server } = await certificates();
    assert.equal(codeOf(admitTrust("")), "trust-empty");
    assert.equal(codeOf(admitTrust(server.privateKey)), "trust-empty");
    assert.equal(codeOf(admitTrust("garbage")), "pem-invalid");
    assert.equal(codeOf(admitTrust(ca.certificate + server.certificate)), "trust-not-ca");
    assert.equal(codeOf(admitTrust(withoutDates(ca.certificate))), "pem-invalid");
  });
});
