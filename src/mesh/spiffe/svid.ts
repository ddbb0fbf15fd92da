import type { CredentialMaterial } from "../../credentials/credential.ts";
import type { X509SVID, X509SVIDResponse } from "../../protobuf/generated/spiffe/workload_pb.js";
import { parseCertificate, subjectAlternativeNames } from "../../x509/certificate.ts";
import { certificatesOf, pemOf } from "../../x509/der-certificates.ts";
import { spiffeIdOf, trustDomainOf } from "../../x509/spiffe.ts";

/** Which of an agent's identities is wanted, and whose peers are to be trusted beside those of its own trust domain. */
export interface SvidChoice {
  readonly id?: string | undefined;
  readonly hint?: string | undefined;
  readonly federated: readonly string[];
}

export type SvidReading =
  | {
      readonly ok: true;
      readonly material: CredentialMaterial;
      /** CAs of federated trust domains, by the domain: those that are wanted and there. */
      readonly bundles: ReadonlyMap<string, string>;
      /** What of the wanted could not be had, beside what could. */
      readonly trouble: string | null;
    }
  /** Nothing of it is to be used. */
  | { readonly ok: false; readonly trouble: string };

/**
 * What of an agent's answer is wanted, as PEM. `known` are the federated CAs of answers before: a federated domain whose
 * CAs cannot be read keeps those, while one that is no longer there is gone.
 */
export function readSvid(
  { svids, federatedBundles, crl }: X509SVIDResponse,
  choice: SvidChoice,
  known: ReadonlyMap<string, string>,
): SvidReading {
  const svid = choose(svids, choice);
  if (typeof svid === "string") return refuse(svid);
  const chain = certificatesOf(svid.x509Svid);
  const leaf = parseCertificate(chain?.[0] ?? "");
  if (chain === null || leaf === null)
    return refuse(`the certificate of ${printable(svid.spiffeId)} cannot be read`);
  const id = spiffeIdOf(subjectAlternativeNames(leaf).uris);
  const domain = id === undefined ? null : trustDomainOf(id);
  if (id !== svid.spiffeId || domain === null)
    return refuse(
      `the certificate that is to be of ${printable(svid.spiffeId)} is of ${id ?? "no SPIFFE ID"}`,
    );
  const own = readBundle(svid.bundle);
  if (own === null) return refuse(`the CAs of ${domain} are none that can be read`);
  const offered = new Map(
    Object.entries(federatedBundles).map(([name, der]) => [name.replace(/^spiffe:\/\//, ""), der]),
  );
  const bundles = new Map<string, string>();
  const missing: string[] = [];
  for (const wanted of choice.federated) {
    if (wanted === domain) continue;
    const der = offered.get(wanted);
    const read = der === undefined ? null : readBundle(der);
    if (read === null) missing.push(wanted);
    const usable = read ?? (der === undefined ? undefined : known.get(wanted));
    if (usable !== undefined) bundles.set(wanted, usable);
  }
  return {
    ok: true,
    bundles,
    material: {
      certificateChain: chain.join(""),
      privateKey: pemOf("PRIVATE KEY", svid.x509SvidKey),
      trustAnchors: [own, ...bundles.values()].join(""),
      trustDomains: Object.fromEntries([[domain, own], ...bundles]),
      ...(crl.length === 0 ? {} : { crl: crl.map((der) => pemOf("X509 CRL", der)).join("") }),
    },
    trouble:
      missing.length === 0
        ? null
        : `it has no CAs of the trust domain ${missing.join(", ")} that can be used`,
  };
}

/** The first where nothing is said (SPIFFE Workload API §5.2.1); a text says what is the matter. */
function choose(svids: readonly X509SVID[], { id, hint }: SvidChoice): X509SVID | string {
  const [first] = svids;
  if (first === undefined) return "it has no identity for this gateway";
  const found = svids.find(
    (svid) => (id === undefined || svid.spiffeId === id) && (hint === undefined || svid.hint === hint),
  );
  if (found !== undefined) return found;
  const wanted = [...(id === undefined ? [] : [id]), ...(hint === undefined ? [] : [`the hint ${hint}`])];
  const has = svids
    .slice(0, 5)
    .map(({ spiffeId, hint }) => (hint === "" ? spiffeId : `${spiffeId} (${hint})`));
  return `it has no identity with ${wanted.join(" and ")} for this gateway, but ${printable(has.join(", "))}`;
}

/** null: not one certificate, or something else among them. */
function readBundle(der: Uint8Array): string | null {
  const found = certificatesOf(der);
  if (found === null || found.length === 0) return null;
  return found.every((pem) => parseCertificate(pem)?.ca === true) ? found.join("") : null;
}

/** What an agent says, for a line of a log. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, " ").slice(0, 500);
}

function refuse(trouble: string): SvidReading {
  return { ok: false, trouble };
}
