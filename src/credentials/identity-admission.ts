import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { chainRefusedByBoringSsl, refusedByBoringSsl } from "../x509/boringssl.ts";
import { orderChain } from "../x509/chain.ts";
import { type CertificateFacts, certificateFacts } from "../x509/facts.ts";
import { identified } from "../x509/finding.ts";
import { type ParsedCertificate, parsed } from "../x509/parsed-certificate.ts";
import { type PemBlock, parsePem } from "../x509/pem.ts";
import { inconsistencyOf } from "../x509/private-key.ts";
import { spiffeIdOf } from "../x509/spiffe.ts";
import { type Admitted, type Finding, reject } from "./admission.ts";
import { refusedByOpenSsl } from "./openssl-loading.ts";
import { readCertificates } from "./read-certificates.ts";
import { type Circumstances, soundnessOf } from "./soundness.ts";

export interface AdmittedIdentity {
  readonly certificateChain: string;
  readonly privateKey: string;
  readonly facts: readonly CertificateFacts[];
  readonly notBefore: number;
  readonly notAfter: number;
  readonly spiffeId: string | undefined;
  readonly refusedByEnvoy?: string;
  readonly mustStaple?: true;
}

/** Checks a key and chain as the peer would, before anybody is shown them (design §4.5). Dates are the store's to judge. */
export function admitIdentity(
  certificateChain: string,
  privateKey: string,
  circumstances: Circumstances = { anchors: [], now: Date.now() },
): Admitted<AdmittedIdentity> {
  const certificates = readCertificates(certificateChain, "the certificate chain");
  if (!certificates.ok) return certificates;
  const key = readPrivateKey(privateKey);
  if (!key.ok) return key;
  const ordered = orderChain(certificates.value, (certificate) => belongsTo(certificate, key.value.object));
  if (ordered === null) {
    const first = identified(certificateFacts(certificates.value[0] as X509Certificate));
    return reject(
      "private-key-mismatch",
      `the private key belongs to no certificate of the chain (first: ${first})`,
    );
  }
  const chain = ordered.chain.slice(0, ordered.chain.length - ordered.unused);
  const { fault, flaws } = soundnessOf(chain, circumstances);
  if (fault !== null) return { ok: false, finding: fault };
  const text = chain.map((certificate) => certificate.toString()).join("");
  const facts = chain.map(certificateFacts);
  const leaf = facts[0] as CertificateFacts;
  const code = refusedByOpenSsl(chain, text, key.value.text);
  if (code !== null)
    return /WEAK|TOO_SMALL/.test(code)
      ? reject("certificate-key-weak", `OpenSSL refuses the chain of ${identified(leaf)}: ${code}`)
      : reject("pem-invalid", `OpenSSL refuses ${identified(leaf)} and its key: ${code}`);
  const whole = parsedLeafOf(chain);
  const refusedByEnvoy =
    refusedByBoringSsl(key.value.object, whole?.publicKey.encoding.length) ?? chainRefusedByBoringSsl(chain);
  const warnings: Finding[] = [];
  if (ordered.reordered) {
    warnings.push({
      code: "certificate-chain-reordered",
      message: `the chain of ${identified(leaf)} was not in order`,
    });
  }
  if (ordered.unused > 0) {
    const loose = ordered.chain
      .slice(chain.length)
      .map((certificate) => identified(certificateFacts(certificate)));
    warnings.push({
      code: "certificate-chain-broken",
      message: `${loose.slice(0, 3).join(", ")}${loose.length > 3 ? ` and ${loose.length - 3} more` : ""} ${loose.length === 1 ? "is" : "are"} no part of the chain of ${leaf.subject} and not sent`,
    });
  }
  return {
    ok: true,
    warnings,
    flaws,
    value: {
      certificateChain: text,
      privateKey: key.value.text,
      facts,
      notBefore: Math.max(...facts.map(({ notBefore }) => notBefore)),
      notAfter: Math.min(...facts.map(({ notAfter }) => notAfter)),
      spiffeId: spiffeIdOf(leaf.uris),
      ...(refusedByEnvoy === null ? {} : { refusedByEnvoy }),
      ...(whole?.mustStaple === true ? { mustStaple: true } : {}),
    },
  };
}

/** Undefined where it cannot be taken apart. */
function parsedLeafOf([leaf]: readonly X509Certificate[]): ParsedCertificate | undefined {
  const whole = leaf === undefined ? "none" : parsed(leaf);
  return typeof whole === "string" ? undefined : whole;
}

/** The text is the one block that was checked, without what stood around it. */
function readPrivateKey(pem: string): Admitted<{ readonly object: KeyObject; readonly text: string }> {
  const parsed = parsePem(pem);
  if (!parsed.ok) return reject("private-key-invalid", `the private key is not PEM: ${parsed.reason}`);
  const keys = parsed.blocks.filter(({ label }) => label.endsWith("PRIVATE KEY"));
  const [key] = keys;
  if (key === undefined) return reject("private-key-invalid", "the private key holds no PRIVATE KEY block");
  if (keys.length > 1) return reject("private-key-invalid", "there are several private keys");
  if (key.encrypted || key.label === "ENCRYPTED PRIVATE KEY") {
    return reject(
      "private-key-encrypted",
      "the private key is encrypted, and there is nobody to ask for its passphrase",
    );
  }
  try {
    const object = createPrivateKey(key.text);
    const type = object.asymmetricKeyType ?? "";
    if (!["rsa", "rsa-pss", "ec", "ed25519"].includes(type)) {
      return reject("private-key-invalid", `keys of type ${type} are not supported`);
    }
    const wrong = inconsistencyOf(object);
    if (wrong !== null)
      return reject("private-key-invalid", `the ${key.label} block is no whole key: ${wrong}`);
    return { ok: true, value: { object, text: textOf(key, object) }, warnings: [] };
  } catch {
    return reject("private-key-invalid", `the ${key.label} block is no key that OpenSSL can read`);
  }
}

/** As it came where that is how OpenSSL writes it; of DER that only some libraries read (RFC 5958 §2 has PKCS#8 of two versions), what all do. */
function textOf({ label, text }: PemBlock, key: KeyObject): string {
  const type = ENCODINGS[label] ?? "pkcs8";
  const given = Buffer.from(text.replace(/-----[^-]*-----/g, ""), "base64");
  return key.export({ type, format: "der" }).equals(given) ? text : key.export({ type, format: "pem" });
}

const ENCODINGS: Readonly<Record<string, "pkcs1" | "sec1">> = {
  "RSA PRIVATE KEY": "pkcs1",
  "EC PRIVATE KEY": "sec1",
};

function belongsTo(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    // A public key of a kind that this OpenSSL does not know.
    return false;
  }
}
