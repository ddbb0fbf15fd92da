import { hash } from "node:crypto";
import { isoTime } from "../telemetry/clock.ts";
import type { RevocationList } from "../x509/crl.ts";
import {
  collectLists,
  type RevocationListFacts,
  type RevocationLists,
  readRevocationLists,
} from "../x509/revocation.ts";
import { type Admitted, type Finding, reject } from "./admission.ts";
import type { RetiredAnchors } from "./retired-anchors.ts";

export interface AdmittedLists {
  readonly lists: RevocationLists;
  /** One PEM list an entry. */
  readonly pem: readonly string[];
}

/**
 * Checks revocation lists before they are asked about anybody. Whether one is stale is no matter here: `crl_policy` says
 * what that means. What is given takes the place of what is `inUse` CA by CA: where it has an older list of one, or while the
 * one in use is current none at all, that stays, since whoever is on it would be let in. That of a CA that is trusted no more goes.
 */
export function admitRevocationLists(
  text: string,
  inUse: AdmittedLists | undefined,
  retired: Pick<RetiredAnchors, "issued">,
  now: number,
): Admitted<AdmittedLists> {
  const reading = readRevocationLists([text]);
  if (!reading.ok) return reject("crl-invalid", reading.reason);
  const { lists: read, pem } = reading;
  if (inUse === undefined) return { ok: true, value: { lists: read, pem }, warnings: [] };
  const given = newestOf(read);
  const staying = [...newestOf(inUse.lists)].flatMap(([series, known]) => {
    const finding = whyStays(known, given.get(series), now);
    const isOver = finding?.code === "crl-left-out" && retired.issued(known);
    return finding === null || isOver ? [] : [{ series, known, finding }];
  });
  const [first] = staying;
  if (first === undefined) return { ok: true, value: { lists: read, pem }, warnings: [] };
  const replaced = new Set(staying.map(({ series }) => series));
  const taken = allOf(read).filter((list) => !replaced.has(seriesOf(list)));
  const known = new Set(inUse.lists.facts.map(({ sha256 }) => sha256));
  if (taken.every(({ sha256 }) => known.has(sha256))) return { ok: false, finding: first.finding };
  const lists = [...taken, ...staying.map((each) => each.known)];
  const texts = new Map([...inUse.pem, ...pem].map((text) => [sha256Of(text), text]));
  return {
    ok: true,
    value: { lists: collectLists(lists), pem: lists.flatMap(({ sha256 }) => texts.get(sha256) ?? []) },
    warnings: staying.map(({ finding }) => finding),
  };
}

/** When the next list goes stale that has no newer one of its CA; Infinity where none does. */
export function staleFrom(lists: RevocationLists, now: number): number {
  const ends = newestLists(lists).map(({ nextUpdate }) => nextUpdate ?? 0);
  return Math.min(...ends.filter((end) => end >= now), Number.POSITIVE_INFINITY);
}

/** Of each CA the list that counts. */
export function newestLists(lists: RevocationLists): RevocationListFacts[] {
  const counting = new Set([...newestOf(lists).values()].map(({ sha256 }) => sha256));
  return lists.facts.filter(({ sha256 }) => counting.has(sha256));
}

/** The CAs of which no list is current at `now`. */
export function staleIssuers(lists: RevocationLists, now: number): RevocationListFacts[] {
  return newestLists(lists).filter(({ nextUpdate }) => (nextUpdate ?? 0) < now);
}

/** Why the list in use stays; null: `given` takes its place, or it is over. */
function whyStays(known: RevocationList, given: RevocationList | undefined, now: number): Finding | null {
  const isCurrent = known.nextUpdate !== null && now <= known.nextUpdate;
  const whose = `the list of ${collectLists([known]).facts[0]?.issuer}`;
  if (given === undefined) {
    if (!isCurrent) return null;
    const end = isoTime(known.nextUpdate ?? 0);
    return {
      code: "crl-left-out",
      message: `${whose} is not given any more; the previous one, which is good until ${end}, stays`,
    };
  }
  if (given.thisUpdate < known.thisUpdate) {
    const [older, newer] = [isoTime(given.thisUpdate), isoTime(known.thisUpdate)];
    return { code: "crl-older", message: `${whose} is of ${older}, the one in use of ${newer}` };
  }
  // A CA that was set up anew counts anew: once the old list is over, that is no matter.
  if (isCurrent && numberOf(given) < numberOf(known)) {
    const message = `${whose} has the number ${numberOf(given)}, the one in use ${numberOf(known)}`;
    return { code: "crl-older", message };
  }
  return null;
}

/**
 * Lists of one series take each other's place: those of one CA by its name and key (RFC 5280 §5.2.1: a CA may have several, and other
 * CAs its name), about the same certificates (§5.2.5).
 */
function seriesOf({ issuer, authorityKey, scope }: RevocationList): string {
  return JSON.stringify([issuer.key, authorityKey?.keyId ?? null, scope.only, scope.distributionPoints]);
}

function newestOf(lists: RevocationLists): Map<string, RevocationList> {
  const newest = new Map<string, RevocationList>();
  for (const list of allOf(lists)) {
    const series = seriesOf(list);
    const known = newest.get(series);
    if (known === undefined || isNewer(list, known)) newest.set(series, list);
  }
  return newest;
}

function isNewer(one: RevocationList, other: RevocationList): boolean {
  if (one.thisUpdate !== other.thisUpdate) return one.thisUpdate > other.thisUpdate;
  return numberOf(one) > numberOf(other);
}

/** RFC 5280 §5.2.3; 0 where it has none. */
function numberOf({ number }: RevocationList): bigint {
  return number === null ? 0n : BigInt(`0x${number}`);
}

function allOf({ ofIssuer }: RevocationLists): RevocationList[] {
  return [...ofIssuer.values()].flat();
}

function sha256Of(pem: string): string {
  return hash("sha256", Buffer.from(pem.replace(/-----[^-]*-----/g, ""), "base64"), "hex");
}
