import "reflect-metadata";
import { type webcrypto as WebCrypto, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

export interface IssuedCertificate {
  /** PEM, leaf first, then the intermediates up to but without the root. */
  readonly certificate: string;
  /** PEM, PKCS#8. */
  readonly privateKey: string;
}

export interface IssueOptions {
  readonly commonName: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly usage?: "server" | "client" | "both";
  /** Object identifiers instead of `usage`; none of them leaves the extension out. */
  readonly extendedKeyUsage?: readonly string[];
  readonly keyType?: "ec" | "rsa" | "ed25519";
  /** Default: an hour ago, as clocks differ. */
  readonly notBefore?: Date;
  /** Default: in 90 days. */
  readonly notAfter?: Date;
  /** Marks the certificate as a CA, for those who must refuse or accept one; `issueAuthority` makes one that issues. */
  readonly ca?: boolean;
}

export interface Authority {
  /** PEM of the CA's own certificate. */
  readonly certificate: string;
  issue(options: IssueOptions): Promise<IssuedCertificate>;
  /** A revocation list of these serial numbers, as PEM; by default from now on and for a week. */
  revoke(serials: readonly string[], dates?: { thisUpdate?: Date; nextUpdate?: Date }): Promise<string>;
  /** A CA under this one; what it issues comes with its certificate in the chain. */
  issueAuthority(commonName: string): Promise<Authority>;
}

/** A certificate authority for development and tests: keys live in memory and are gone with the process. */
export async function createAuthority(commonName: string, days = 90): Promise<Authority> {
  const keys = await generateKeys("ec");
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: commonNameOnly(commonName),
      notBefore: new Date(Date.now() - HOUR_MS),
      notAfter: new Date(Date.now() + days * 24 * HOUR_MS),
      keys,
      signingAlgorithm: SIGNING.ec,
      extensions: [
        ...caExtensions(),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as never),
      ],
    },
    webcrypto as never,
  );
  return authorityOf(certificate, keys, []);
}

type KeyPair = WebCrypto.CryptoKeyPair;

const HOUR_MS = 3_600_000;
const ALGORITHMS = {
  ec: { name: "ECDSA", namedCurve: "P-256" },
  rsa: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: 2048,
  },
  ed25519: { name: "Ed25519" },
} as const;
const SIGNING = { ec: { name: "ECDSA", hash: "SHA-256" } } as const;
const USAGES = { server: [x509.ExtendedKeyUsage.serverAuth], client: [x509.ExtendedKeyUsage.clientAuth] };

function authorityOf(own: x509.X509Certificate, keys: KeyPair, above: readonly string[]): Authority {
  const sign = async (
    name: string,
    publicKey: WebCrypto.CryptoKey,
    validity: { notBefore: Date; notAfter: Date },
    extensions: x509.Extension[],
  ): Promise<x509.X509Certificate> =>
    x509.X509CertificateGenerator.create(
      {
        serialNumber: serial(),
        subject: commonNameOnly(name),
        issuer: own.subjectName,
        ...validity,
        publicKey: publicKey as never,
        signingKey: keys.privateKey as never,
        signingAlgorithm: SIGNING.ec,
        extensions: [
          ...extensions,
          await x509.AuthorityKeyIdentifierExtension.create(own.publicKey, false, webcrypto as never),
          await x509.SubjectKeyIdentifierExtension.create(publicKey as never, false, webcrypto as never),
        ],
      },
      webcrypto as never,
    );
  return {
    certificate: `${own.toString("pem")}\n`,
    async issue(options) {
      const leafKeys = await generateKeys(options.keyType ?? "ec");
      const usage = options.usage ?? "both";
      const purposes =
        options.extendedKeyUsage ?? (usage === "both" ? [...USAGES.server, ...USAGES.client] : USAGES[usage]);
      const names: { type: "dns" | "ip" | "url"; value: string }[] = [
        ...(options.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
        ...(options.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
        ...(options.uris ?? []).map((value) => ({ type: "url" as const, value })),
      ];
      const leaf = await sign(
        options.commonName,
        leafKeys.publicKey,
        {
          notBefore: options.notBefore ?? new Date(Date.now() - HOUR_MS),
          notAfter: options.notAfter ?? new Date(Date.now() + 90 * 24 * HOUR_MS),
        },
        [
          ...(options.ca === true
            ? caExtensions()
            : [
                new x509.BasicConstraintsExtension(false, undefined, true),
                new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
              ]),
          ...(purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...purposes])]),
          ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
        ],
      );
      return {
        certificate: `${[leaf.toString("pem"), ...above].join("\n")}\n`,
        privateKey: await exportKey(leafKeys.privateKey),
      };
    },
    async revoke(serials, { thisUpdate = new Date(), nextUpdate } = {}) {
      const list = await x509.X509CrlGenerator.create(
        {
          issuer: own.subjectName,
          thisUpdate,
          nextUpdate: nextUpdate ?? new Date(thisUpdate.getTime() + 7 * 24 * HOUR_MS),
          // Without a reason the library writes an empty list of extensions, which is none that may be read.
          entries: serials.map((serialNumber) => ({
            serialNumber,
            revocationDate: thisUpdate,
            reason: x509.X509CrlReason.keyCompromise,
          })),
          signingKey: keys.privateKey as never,
          signingAlgorithm: SIGNING.ec,
          extensions: [
            await x509.AuthorityKeyIdentifierExtension.create(own.publicKey, false, webcrypto as never),
          ],
        },
        webcrypto as never,
      );
      // RFC 7468 §6: the label is "X509 CRL".
      return `${list.toString("pem").replaceAll(" CRL-----", " X509 CRL-----")}\n`;
    },
    async issueAuthority(commonName) {
      const caKeys = await generateKeys("ec");
      const validity = { notBefore: own.notBefore, notAfter: own.notAfter };
      const certificate = await sign(commonName, caKeys.publicKey, validity, caExtensions());
      return authorityOf(certificate, caKeys, [certificate.toString("pem"), ...above]);
    },
  };
}

/** As a value, since DN text would take `a, O=b` apart. */
function commonNameOnly(commonName: string): x509.Name {
  return new x509.Name([{ CN: [{ utf8String: commonName }] }]);
}

function caExtensions(): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  ];
}

async function generateKeys(type: keyof typeof ALGORITHMS): Promise<KeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHMS[type] as never, true, ["sign", "verify"])) as KeyPair;
}

async function exportKey(key: WebCrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64");
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}(?=.)/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
}

/** 16 random bytes, positive as RFC 5280 §4.1.2.2 asks. */
function serial(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40;
  return bytes.toString("hex");
}
