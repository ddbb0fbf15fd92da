import type {
  AnchorReport,
  ReportedAnchor,
  ReportedBundle,
  ReportedPlace,
  ReportedSighting,
} from "../../admin/anchors.ts";

export interface RotationQuestion {
  readonly quietForMs: number;
  /** A cluster or listener that had no handshake yet does not stand in the way. */
  readonly allowUnseen: boolean;
  /** Of bundles or CAs whose name, subject or SHA-256 (its beginning) this is; absent: of all that have a newer one beside them. */
  readonly bundle?: string;
  readonly root?: string;
}

/** What is to be said about taking one CA out of its bundle. */
export interface RootVerdict {
  readonly anchor: ReportedAnchor;
  readonly safe: boolean;
  /** Why not; empty where it is safe. */
  readonly reasons: readonly string[];
  /** Where peers still chained to it, ever. */
  readonly places: readonly {
    readonly direction: string;
    readonly place: string;
    readonly old: ReportedSighting;
  }[];
}

export interface BundleVerdict {
  readonly name: string;
  readonly group?: string;
  readonly newest: readonly ReportedAnchor[];
  readonly roots: readonly RootVerdict[];
}

/**
 * A CA may go when nothing has chained to it for `quietForMs`, for as long another one was there, and whoever once did has
 * been back with another. What is not known counts against it.
 */
export function judgeRotation(report: AnchorReport, question: RotationQuestion): BundleVerdict[] {
  return report.bundles
    .filter(({ name }) => question.bundle === undefined || name === question.bundle)
    .map((bundle) => {
      const asked = bundle.anchors.filter((anchor) =>
        question.root === undefined ? newerThan(anchor, bundle).length > 0 : isAsked(anchor, question.root),
      );
      return {
        name: bundle.name,
        ...(bundle.group === undefined ? {} : { group: bundle.group }),
        newest: bundle.anchors.filter((anchor) => newerThan(anchor, bundle).length === 0),
        roots: asked.map((anchor) => judgeRoot(anchor, bundle, report, question)),
      };
    });
}

function judgeRoot(
  anchor: ReportedAnchor,
  bundle: ReportedBundle,
  report: AnchorReport,
  { quietForMs, allowUnseen }: RotationQuestion,
): RootVerdict {
  const now = Date.parse(report.time);
  const quietSince = now - quietForMs;
  const others = bundle.anchors.filter(({ sha256 }) => sha256 !== anchor.sha256);
  const used = new Set(bundle.usedBy.map(placeName));
  // A cluster that is no more has no peers that could be left behind.
  const places = bundle.places.flatMap((place) => {
    if (!used.has(placeName(place))) return [];
    const old = place.anchors.find(({ sha256 }) => sha256 === anchor.sha256);
    return old === undefined ? [] : [{ place, old }];
  });
  const reasons: string[] = [];
  if (others.length === 0)
    reasons.push("it is the only CA of the bundle: nobody would be verified without it");
  for (const { place, old } of places)
    if (Date.parse(old.lastSeen) > quietSince)
      reasons.push(
        `${placeName(place)} chained to it ${ago(now - Date.parse(old.lastSeen))} ago, and it must be quiet for ${ago(quietForMs)}${peersText(place, anchor)}`,
      );
  // Of a CA that came while nobody looked, the process's own age is what can be said.
  const sinces = others.map(({ since }) => (since === null ? now : Date.parse(since)));
  const since = Math.min(...sinces);
  if (others.length > 0 && since > quietSince)
    reasons.push(
      `another CA has been in the bundle for no more than ${ago(now - since)}, as far as this process knows (it began ${ago(now - Date.parse(report.observedSince ?? report.time))} ago)`,
    );
  // Those of late are named above.
  for (const { place } of places)
    for (const { peer, at } of leftBehind(place, anchor))
      if (at <= quietSince)
        reasons.push(
          `${peer} (${placeName(place)}) was last seen with it ${ago(now - at)} ago, and not since with another CA`,
        );
  reasons.push(
    ...unknowns(
      bundle,
      places.map(({ place }) => place),
      report.forgottenPlaces,
      allowUnseen,
    ),
  );
  return {
    anchor,
    safe: reasons.length === 0,
    reasons,
    places: places.map(({ place: { direction, place }, old }) => ({ direction, place, old })),
  };
}

/** What nobody can tell, and the one flag that takes it. A place that was forgotten is as one that was not seen. */
function unknowns(
  bundle: ReportedBundle,
  places: readonly ReportedPlace[],
  forgottenPlaces: number,
  allowUnseen: boolean,
): string[] {
  if (allowUnseen)
    return forgottenPlaces === 0
      ? []
      : [`${forgottenPlaces} places were forgotten for want of room, so --allow-unseen would take too much`];
  const seen = new Set(bundle.places.map(placeName));
  const unseen = bundle.usedBy
    .map(placeName)
    .filter((name) => !seen.has(name))
    .map(
      (name) =>
        `${name} has had no verified handshake, so nothing is known of its peers (--allow-unseen takes that)`,
    );
  const unlisted = places
    .filter((place) => place.unlisted > 0)
    .map(
      (place) =>
        `${place.unlisted} handshakes of ${placeName(place)} were of peers that there was no room to keep apart: whether each is back with another CA is not known (--allow-unseen takes that)`,
    );
  return [...unseen, ...unlisted];
}

/** Peers whose last handshake chained to this CA. */
function leftBehind(place: ReportedPlace, { sha256 }: ReportedAnchor): { peer: string; at: number }[] {
  return place.peers.flatMap(({ peer, anchors }) => {
    const old = anchors.find((seen) => seen.sha256 === sha256);
    if (old === undefined) return [];
    const at = Date.parse(old.lastSeen);
    const isBack = anchors.some((seen) => seen.sha256 !== sha256 && Date.parse(seen.lastSeen) >= at);
    return isBack ? [] : [{ peer, at }];
  });
}

function peersText(place: ReportedPlace, anchor: ReportedAnchor): string {
  const peers = leftBehind(place, anchor).map(({ peer }) => peer);
  if (peers.length === 0) return "";
  const more = peers.length > PEERS_SHOWN ? ` and ${peers.length - PEERS_SHOWN} more` : "";
  return `: ${peers.slice(0, PEERS_SHOWN).join(", ")}${more}`;
}

const PEERS_SHOWN = 5;

/** By what the certificates say; of those made in the same second, by which came later. */
function newerThan(anchor: ReportedAnchor, { anchors }: ReportedBundle): ReportedAnchor[] {
  return anchors.filter((other) => {
    const byDate = Date.parse(other.notBefore) - Date.parse(anchor.notBefore);
    return byDate === 0 ? sinceOf(other) > sinceOf(anchor) : byDate > 0;
  });
}

function sinceOf({ since }: ReportedAnchor): number {
  return since === null ? 0 : Date.parse(since);
}

function isAsked({ sha256, subject }: ReportedAnchor, root: string): boolean {
  return (
    subject === root || subject === `CN=${root}` || sha256.startsWith(root.toLowerCase().replaceAll(":", ""))
  );
}

/** `cluster quote:443`, `clients of listener https`. */
export function placeName({
  direction,
  place,
}: {
  readonly direction: string;
  readonly place: string;
}): string {
  return direction === "upstream" ? `cluster ${place}` : `clients of listener ${place}`;
}

/** `3 minutes`, `2 hours`, `4 days`. */
export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  for (const [unit, size] of UNITS) {
    const count = Math.floor(seconds / size);
    if (count >= 1 || unit === "second") return `${count} ${unit}${count === 1 ? "" : "s"}`;
  }
  return "";
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
] as const;
