import { secretCredentialName } from "../resources/secret.ts";
import { fileCredentialName, type TlsContextResource } from "../resources/tls-context.ts";
import type { CredentialStatuses } from "./statuses.ts";

/** What `identity` stands for, and may not stand beside. */
export const BESIDE_IDENTITY = [
  "secret",
  "ca_secret",
  "cert_chain_file",
  "private_key_file",
  "cacert_chain_file",
] as const;

/** The CA in any form (design §5): named by itself, as a file, or beside the certificate. */
export function trustName(
  resource: TlsContextResource,
  credential: string | undefined,
  statuses: CredentialStatuses,
  namespacingDefault: boolean,
): string | undefined {
  const { spec } = resource;
  if (spec.ca_secret !== undefined) return secretName(spec.ca_secret, resource, namespacingDefault);
  if (spec.cacert_chain_file !== undefined) return fileCredentialName(resource);
  return credential !== undefined && statuses.hasTrustAnchors(credential) ? credential : undefined;
}

/**
 * A Host's tlsSecret is never split; an Ingress's secretName is, where no Secret of its own namespace is called so (names
 * of Secrets have dots: `example.com-tls`).
 */
export function certificateName(
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
