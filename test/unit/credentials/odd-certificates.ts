import { createPublicKey, type KeyObject, sign, X509Certificate } from "node:crypto";

/**
 * A self-signed certificate without extensions (X.509 v1 has none), as old tools make it; PEM. Valid 2020 to 2049.
 */
export function selfSigned(privateKey: KeyObject): string {
  const algorithm = SIGNATURES[privateKey.asymmetricKeyType === "rsa" ? "rsa" : "ec"];
  const toBeSigned = der(
    0x30,
    Buffer.from("020101", "hex"),
    algorithm,
    nameOf("odd"),
    der(0x30, der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("491231235959Z"))),
    nameOf("odd"),
    createPublicKey(privateKey).export({ type: "spki", format: "der" }),
  );
  const signature = sign("sha256", toBeSigned, privateKey);
  return pem(der(0x30, toBeSigned, algorithm, der(0x03, Buffer.of(0), signature)));
}

/** The same certificate with dates that are none. */
export function withoutDates(certificate: string): string {
  const bytes = Buffer.from(new X509Certificate(certificate).raw);
  for (let at = bytes.indexOf("170d", 0, "hex"), left = 2; left > 0; left--, at += 15) {
    bytes.write("99", at + 4, "latin1");
  }
  return pem(bytes);
}

/** With SHA-256. */
const SIGNATURES = {
  rsa: Buffer.from("300d06092a864886f70d01010b0500", "hex"),
  ec: Buffer.from("300a06082a8648ce3d040302", "hex"),
} as const;

function nameOf(commonName: string): Buffer {
  const attribute = der(0x30, Buffer.from("0603550403", "hex"), der(0x0c, Buffer.from(commonName)));
  return der(0x30, der(0x31, attribute));
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

function pem(bytes: Buffer): string {
  const text = bytes.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`;
}
