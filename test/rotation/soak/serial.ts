import { X509Certificate } from "node:crypto";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";

/** Lower-case hex. */
export function serialOf({ certificate }: IssuedCertificate): string {
  return new X509Certificate(certificate).serialNumber.toLowerCase();
}
