import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { findEnvoy } from "../../../src/engines/envoy/process/find.ts";
import { validateBootstrap } from "../../../src/engines/envoy/process/validate.ts";
import { refusedByBoringSsl } from "../../../src/x509/boringssl.ts";

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

for (const [name, [algorithm = "", ...options]] of Object.entries(KEYS)) {
  test(`${name}: what is said of the key is what Envoy makes of it`, async () => {
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "certificate.pem")];
    const openssl = (...words: string[]): unknown => execFileSync("openssl", words, { stdio: "pipe" });
    openssl(
      "genpkey",
      "-algorithm",
      algorithm,
      ...options.flatMap((each) => ["-pkeyopt", each]),
      "-out",
      key,
    );
    openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=x", "-out", certificate);
    const { path } = await findEnvoy({ environment: process.env });
    const inline = (file: string) => ({ inline_string: readFileSync(file, "utf8") });
    const validation = await validateBootstrap(path, {
      static_resources: {
        clusters: [
          {
            name: "c",
            transport_socket: {
              name: "tls",
              typed_config: {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                common_tls_context: {
                  tls_certificates: [{ certificate_chain: inline(certificate), private_key: inline(key) }],
                },
              },
            },
          },
        ],
      },
    });
    assert.equal(refusedByBoringSsl(createPrivateKey(readFileSync(key))) === null, validation.ok);
  });
}
