import { hash } from "node:crypto";
import { type Admitted, refuseUnreadable } from "./admission.ts";
import type { CredentialMaterial, MaterialPart } from "./credential.ts";
import { type AdmittedIdentity, admitIdentity } from "./identity-admission.ts";
import { readCertificates } from "./read-certificates.ts";

/** The parts that make a credential. */
export const IDENTITY = ["certificateChain", "privateKey"] as const;

/** Tells offers apart without keeping a second copy of a key. */
export function digestOf(material: CredentialMaterial, parts: readonly MaterialPart[]): string {
  const said = parts.map((part) => [
    material[part] ?? "",
    material.unreadable?.[part] ?? "",
    part === "trustAnchors" ? (material.trustDomains ?? "") : "",
  ]);
  return hash("sha256", JSON.stringify(said));
}

/** Checks the credential of an offer, with the CA beside it where there is one. */
export function admitMaterial(material: CredentialMaterial, now: number): Admitted<AdmittedIdentity> {
  const refused = refuseUnreadable(material, IDENTITY);
  if (refused !== null) return refused;
  const { certificateChain, privateKey, trustAnchors } = material;
  if (certificateChain !== undefined && privateKey !== undefined) {
    // A bundle that cannot be read says nothing about the chain.
    const beside = trustAnchors === undefined ? null : readCertificates(trustAnchors, "the CA bundle");
    return admitIdentity(certificateChain, privateKey, {
      anchors: beside?.ok === true ? beside.value : [],
      now,
    });
  }
  const missing = certificateChain === undefined ? "certificate chain" : "private key";
  return { ok: false, finding: { code: "secret-key-missing", message: `there is no ${missing}` } };
}
