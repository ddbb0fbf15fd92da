import type { X509Certificate } from "node:crypto";
import { distinguishedName, subjectAlternativeNames } from "../../../x509/certificate.ts";
import type { Admission, Authorize } from "../ads/client.ts";
import { type FleetGroup, groupOf } from "./groups.ts";

/**
 * A client is of the group that its verified certificate belongs to, whatever it says of itself as a node; of none, and its
 * stream is refused: never an empty world, which a proxy would take for its configuration.
 */
export function authorizeFleet(groups: readonly FleetGroup[]): Authorize {
  return ({ peer }): Admission => {
    const { certificate } = peer;
    if (certificate === null)
      return { refused: "unauthenticated", message: "a client certificate is required" };
    const names = subjectAlternativeNames(certificate);
    const identity = identityText(certificate, names);
    const group = groupOf(names, groups);
    if (group === undefined)
      return { refused: "permission-denied", message: `${identity} belongs to no group of the fleet` };
    return { group: group.name, identity };
  };
}

/** Everybody whom the client CA vouches for, in one group. */
export function authorizeEverybody(group: string): Authorize {
  return ({ peer: { certificate } }) =>
    certificate === null
      ? { refused: "unauthenticated", message: "a client certificate is required" }
      : { group, identity: identityText(certificate, subjectAlternativeNames(certificate)) };
}

function identityText(
  certificate: X509Certificate,
  { uris, dnsNames }: { readonly uris: readonly string[]; readonly dnsNames: readonly string[] },
): string {
  return (
    uris[0] ?? dnsNames[0] ?? (distinguishedName(certificate.subject, ", ") || "a certificate without a name")
  );
}
