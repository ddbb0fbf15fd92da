import { parsePem } from "../x509/pem.ts";
import { type RevocationListFacts, type RevocationLists, readRevocationLists } from "../x509/revocation.ts";
import { type Admitted, reject } from "./admission.ts";

export interface AdmittedLists {
  readonly lists: RevocationLists;
  /** One PEM list an entry. */
  readonly pem: readonly string[];
}

/**
 * Checks revocation lists before they are asked about anybody. Whether one is stale is no matter here: `crl_policy` says
 * what that means. An older list of the same CA than `inUse` has is refused: whoever it does not name yet would be let in.
 */
export function admitRevocationLists(
  text: string,
  inUse: RevocationLists | undefined,
): Admitted<AdmittedLists> {
  const parsed = parsePem(text);
  if (!parsed.ok) return reject("crl-invalid", `the revocation lists are not PEM: ${parsed.reason}`);
  const pem = parsed.blocks.filter(({ label }) => label === "X509 CRL").map((block) => block.text);
  if (pem.length === 0) return reject("crl-invalid", "there is no X509 CRL block");
  const reading = readRevocationLists(pem);
  if (!reading.ok) return reject("crl-invalid", reading.reason);
  const newest = newestByIssuer(inUse?.facts ?? []);
  for (const { issuer, thisUpdate } of newestByIssuer(reading.lists.facts).values()) {
    const known = newest.get(issuer);
    if (known !== undefined && known.thisUpdate > thisUpdate) {
      const [older, newer] = [thisUpdate, known.thisUpdate].map((moment) => new Date(moment).toISOString());
      return reject("crl-older", `the list of ${issuer} is of ${older}, the one in use of ${newer}`);
    }
  }
  return { ok: true, value: { lists: reading.lists, pem }, warnings: [] };
}

/** When the first list goes stale that has no newer one of its CA; Infinity where none does. */
export function staleFrom(lists: RevocationLists): number {
  const ends = newestLists(lists).map(({ nextUpdate }) => nextUpdate ?? 0);
  return Math.min(...ends, Number.POSITIVE_INFINITY);
}

/** Of each CA the list that counts. */
export function newestLists({ facts }: RevocationLists): RevocationListFacts[] {
  return [...newestByIssuer(facts).values()];
}

/** The CAs of which no list is current at `now`. */
export function staleIssuers(lists: RevocationLists, now: number): RevocationListFacts[] {
  return newestLists(lists).filter(({ nextUpdate }) => (nextUpdate ?? 0) < now);
}

function newestByIssuer(facts: readonly RevocationListFacts[]): Map<string, RevocationListFacts> {
  const newest = new Map<string, RevocationListFacts>();
  for (const list of facts) {
    const known = newest.get(list.issuer);
    if (known === undefined || list.thisUpdate > known.thisUpdate) newest.set(list.issuer, list);
  }
  return newest;
}
