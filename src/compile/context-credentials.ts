import { secretCredentialName } from "../resources/secret.ts";
import { fileCredentialName, type TlsContextResource } from "../resources/tls-context.ts";
import { identityName } from "../resources/tls-identity.ts";
import type { CredentialStatuses } from "./statuses.ts";

/** A name in the credential store, and the field of the context that it comes from. */
export interface NamedCredential {
  readonly name: string;
  readonly field: "identity" | "secret" | "ca_secret" | "cert_chain_file" | "cacert_chain_file";
}

/** What a context presents, and whom it trusts: the CA in any form (design §5). */
export function contextCredentials(
  resource: TlsContextResource,
  statuses: CredentialStatuses,
  namespacingDefault: boolean,
): { readonly certificate: NamedCredential | undefined; readonly trust: NamedCredential | undefined } {
  const { identity } = resource.spec;
  if (identity !== undefined) {
    // One name for the certificate and the CA: an issuer delivers both.
    const issued: NamedCredential = { name: identityName(identity), field: "identity" };
    return { certificate: issued, trust: issued };
  }
  const certificate = namedCertificate(resource, statuses, namespacingDefault);
  const trust = namedTrust(resource, certificate, statuses, namespacingDefault);
  // A Secret may be named for its CA alone (`ca.crt`): then there is no certificate to present, and none is missing.
  const isTrustAlone =
    certificate !== undefined &&
    certificate.name === trust?.name &&
    statuses.credential(certificate.name) === undefined;
  return { certificate: isTrustAlone ? undefined : certificate, trust };
}

function namedCertificate(
  resource: TlsContextResource,
  statuses: CredentialStatuses,
  namespacingDefault: boolean,
): NamedCredential | undefined {
  const { secret, cert_chain_file } = resource.spec;
  if (secret !== undefined)
    return { name: certificateName(secret, resource, statuses, namespacingDefault), field: "secret" };
  if (cert_chain_file === undefined) return undefined;
  return { name: fileCredentialName(resource), field: "cert_chain_file" };
}

/** Named by itself, as a file, or beside the certificate. */
function namedTrust(
  resource: TlsContextResource,
  certificate: NamedCredential | undefined,
  statuses: CredentialStatuses,
  namespacingDefault: boolean,
): NamedCredential | undefined {
  const { ca_secret, cacert_chain_file } = resource.spec;
  if (ca_secret !== undefined)
    return { name: secretName(ca_secret, resource, namespacingDefault), field: "ca_secret" };
  if (cacert_chain_file !== undefined)
    return { name: fileCredentialName(resource), field: "cacert_chain_file" };
  if (certificate === undefined || !statuses.hasTrustAnchors(certificate.name)) return undefined;
  return { name: certificate.name, field: "secret" };
}

/**
 * A Host's tlsSecret is never split; an Ingress's secretName is, where no Secret of its own namespace is called so (names
 * of Secrets have dots: `example.com-tls`).
 */
function certificateName(
  written: string,
  resource: TlsContextResource,
  statuses: CredentialStatuses,
  namespacingDefault: boolean,
): string {
  const whole = secretCredentialName(resource.namespace, written);
  const isKnown = resource.writtenIn?.kind === "Ingress" && statuses.credential(whole) !== undefined;
  return resource.isWholeName === true || isKnown ? whole : secretName(written, resource, namespacingDefault);
}

/** Reference §2.3.3: `name`, or with namespacing `name.namespace`, split at the last dot. */
export function secretName(
  written: string,
  resource: TlsContextResource,
  namespacingDefault: boolean,
): string {
  const dot = written.lastIndexOf(".");
  const namespacing = resource.spec.secret_namespacing ?? namespacingDefault;
  if (!namespacing || dot <= 0 || dot === written.length - 1)
    return secretCredentialName(resource.namespace, written);
  return secretCredentialName(written.slice(dot + 1), written.slice(0, dot));
}
