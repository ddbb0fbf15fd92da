import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { admitIdentity } from "../../../src/credentials/identity-admission.ts";
import { findEnvoy } from "../../../src/engines/envoy/process/find.ts";
import { validateBootstrap } from "../../../src/engines/envoy/process/validate.ts";
import { chainRefusedByBoringSsl, refusedByBoringSsl } from "../../../src/x509/boringssl.ts";
import { bits, implicit, integer, nothing, octets, oid, pem, sequence, set } from "../../support/der.ts";
import {
  ecKeys,
  edKeys,
  extension,
  type Issued,
  type Issuing,
  issue,
  issueCa,
  type KeyPair,
  rsaKeys,
} from "../../support/issuing.ts";

/** Arguments of `openssl genpkey`. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  "RSA 1024": ["RSA", "rsa_keygen_bits:1024"],
  "RSA 2048": ["RSA", "rsa_keygen_bits:2048"],
  "RSA 4096": ["RSA", "rsa_keygen_bits:4096"],
  "RSA with the exponent 3": ["RSA", "rsa_keygen_bits:2048", "rsa_keygen_pubexp:3"],
  "RSA with the exponent 2^33-1": ["RSA", "rsa_keygen_bits:2048", "rsa_keygen_pubexp:8589934591"],
  "RSA with the exponent 2^33+1": ["RSA", "rsa_keygen_bits:2048", "rsa_keygen_pubexp:8589934593"],
  "RSA-PSS": ["RSA-PSS", "rsa_keygen_bits:2048"],
  "P-224": ["EC", "ec_paramgen_curve:P-224"],
  "P-256": ["EC", "ec_paramgen_curve:P-256"],
  "P-384": ["EC", "ec_paramgen_curve:P-384"],
  "P-521": ["EC", "ec_paramgen_curve:P-521"],
  "P-256, written out": ["EC", "ec_paramgen_curve:P-256", "ec_param_enc:explicit"],
  secp256k1: ["EC", "ec_paramgen_curve:secp256k1"],
  brainpoolP256r1: ["EC", "ec_paramgen_curve:brainpoolP256r1"],
  Ed25519: ["ED25519"],
  Ed448: ["ED448"],
};

const folder = mkdtempSync(join(tmpdir(), "keys-"));
after(() => rmSync(folder, { recursive: true }));

const openssl = (...words: string[]): string =>
  execFileSync("openssl", words, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

for (const [name, [algorithm = "", ...options]] of Object.entries(KEYS)) {
  test(`${name}: what is said of the key is what Envoy makes of it`, async () => {
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    openssl(
      "genpkey",
      "-algorithm",
      algorithm,
      ...options.flatMap((each) => ["-pkeyopt", each]),
      "-out",
      key,
    );
    openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=x", "-out", certificate);
    const [text, chain] = [readFileSync(key, "utf8"), readFileSync(certificate, "utf8")];
    assert.equal(refusedByBoringSsl(createPrivateKey(text)) === null, await isLoaded(chain, text));
  });
}

const root = issueCa({ subject: "root" });
const [ec, rsa, ed] = [ecKeys(), rsaKeys(), edKeys()];
const odd = (keys: KeyPair, options: Issuing = {}): Issued => issue({ by: root, keys, ...options });
const emptyPart = sequence(set());
const oldCa = issueCa({ subject: "CA of version 4", by: root, version: 3 });

/** What OpenSSL reads, each with whether Envoy loads it with its key. */
const CHAINS: Readonly<Record<string, readonly [Issued, loaded: boolean, ...above: Issued[]]>> = {
  "an EC key that may not sign": [odd(ec, { keyUsage: ["keyEncipherment"] }), false],
  "an EC key that may do nothing": [odd(ec, { keyUsage: [] }), false],
  "an EC key with a key usage that is none": [
    odd(ec, { keyUsage: null, extensions: [extension("2.5.29.15", Buffer.from("hi"))] }),
    false,
  ],
  "an EC key without a key usage": [odd(ec, { keyUsage: null }), true],
  "an EC key with two": [odd(ec, { extensions: [extension("2.5.29.15", bits(Buffer.of(0x20)))] }), true],
  "an EC key as a hybrid point": [withByte(odd(ec), pointOf(ec), 6 | (lastOf(ec) & 1)), false],
  "an EC key as a string of bits that ends early": [withByte(odd(ec), pointOf(ec) - 1, 1), false],
  "an RSA key that may not sign": [odd(rsa, { keyUsage: ["keyEncipherment"] }), true],
  "an Ed25519 key that may not sign": [odd(ed, { keyUsage: ["keyEncipherment"] }), true],
  "version 1": [odd(ec, { version: 0 }), true],
  "version 1 with extensions": [
    withByte(odd(ec), odd(ec).certificate.raw.indexOf("a003020102", 0, "hex") + 4, 0),
    false,
  ],
  "version 4": [odd(ec, { version: 3 }), false],
  "an issuer of version 4": [odd(ec, { by: oldCa }), false, oldCa],
  "a name with an empty part": [odd(ec, { subject: emptyPart }), false],
  "an empty name": [odd(ec, { subject: sequence() }), true],
  "an unknown critical extension": [odd(ec, { extensions: [extension("1.2.3.4", nothing, true)] }), true],
  "a subjectAltName that is none": [
    odd(ec, { names: [], extensions: [extension("2.5.29.17", Buffer.from("hello"))] }),
    true,
  ],
  "BER in an extension": [
    withByte(odd(ec), odd(ec).certificate.raw.indexOf("551d25", 0, "hex") + 3, 0x24),
    false,
  ],
};

for (const [name, [leaf, loaded, ...above]] of Object.entries(CHAINS)) {
  test(`${name}: what is said of the chain is what Envoy makes of it`, async () => {
    const chain = [leaf, ...above];
    const key = leaf.keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const said = chainRefusedByBoringSsl(chain.map(({ certificate }) => certificate));
    assert.equal(said === null, loaded, String(said));
    assert.equal(await isLoaded(chain.map(({ pem }) => pem).join(""), key), loaded);
  });
}

const ofVersion2 = sequence(
  integer(1),
  sequence(oid("1.3.101.112")),
  octets(octets(ed.privateKey.export({ type: "pkcs8", format: "der" }).subarray(-32))),
  implicit(
    1,
    Buffer.concat([Buffer.of(0), ed.publicKey.export({ type: "spki", format: "der" }).subarray(-32)]),
  ),
);
const withoutParameters = sequence(
  integer(0),
  sequence(oid("1.2.840.113549.1.1.1")),
  octets(rsa.privateKey.export({ type: "pkcs1", format: "der" })),
);

for (const [name, issued, text] of [
  ["PKCS#8 with the public key in it", odd(ed), pem("PRIVATE KEY", ofVersion2)],
  ["PKCS#8 of RSA without parameters", odd(rsa), pem("PRIVATE KEY", withoutParameters)],
] as const) {
  test(`${name}, which Envoy does not read, is published as what it does`, async () => {
    const admitted = admitIdentity(issued.pem, text);
    assert.ok(admitted.ok);
    assert.equal(await isLoaded(issued.pem, text), false);
    assert.equal(await isLoaded(issued.pem, admitted.value.privateKey), true);
  });
}

test("an RSA key of three primes is Envoy's to refuse", async () => {
  const key = openssl("genrsa", "-traditional", "-primes", "3", "2048");
  const privateKey = createPrivateKey(key);
  const { pem: chain } = odd({ privateKey, publicKey: createPublicKey(privateKey) });
  const admitted = admitIdentity(chain, key);
  assert.equal(admitted.ok && admitted.value.refusedByEnvoy, "an RSA key of more than two primes");
  assert.equal(await isLoaded(chain, key), false);
});

function withByte(issued: Issued, at: number, byte: number): Issued {
  const raw = Buffer.from(issued.certificate.raw);
  raw[at] = byte;
  return { ...issued, certificate: new X509Certificate(raw), pem: pem("CERTIFICATE", raw) };
}

/** Where an EC point begins in certificates of its key, in full. */
function pointOf(keys: KeyPair): number {
  const raw = odd(keys).certificate.raw;
  return raw.indexOf(keys.publicKey.export({ type: "spki", format: "der" }).subarray(-65));
}

function lastOf({ publicKey }: KeyPair): number {
  return publicKey.export({ type: "spki", format: "der" }).at(-1) as number;
}

async function isLoaded(certificateChain: string, privateKey: string): Promise<boolean> {
  const { path } = await findEnvoy({ environment: process.env });
  const { ok } = await validateBootstrap(path, {
    static_resources: {
      clusters: [
        {
          name: "c",
          transport_socket: {
            name: "tls",
            typed_config: {
              "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
              common_tls_context: {
                tls_certificates: [
                  {
                    certificate_chain: { inline_string: certificateChain },
                    private_key: { inline_string: privateKey },
                  },
                ],
              },
            },
          },
        },
      ],
    },
  });
  return ok;
}
