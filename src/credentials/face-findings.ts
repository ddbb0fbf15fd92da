import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { isoTime } from "../telemetry/clock.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import { identified } from "../x509/finding.ts";
import type { Credential, RevocationBundle, TrustBundle } from "./credential.ts";
import { newestLists, staleIssuers } from "./crl-admission.ts";
import { type ExpiryWarnings, expirySeverity } from "./expiry.ts";
import { type Face, isUnstapled, withoutStaple } from "./face.ts";

/**
 * What there is to say about a face at `now`, on the object that it came from. While that is the same, it comes as the same
 * objects: a thousand certificates may be near their end while one of them rotates.
 */
export function faceFindings(face: Face, now: number, warnings: ExpiryWarnings): readonly Diagnostic[] {
  if (isQuiet(face, now, warnings)) return NOTHING;
  const { version, origin } = face;
  const phase = phaseOf(face, now, warnings);
  const known = KNOWN.get(face);
  if (phase !== null && phase === known?.phase && version === known.version && origin === known.origin)
    return known.findings;
  const findings = findingsOf(face, now, warnings);
  if (phase !== null) KNOWN.set(face, { phase, version, origin, findings });
  return findings;
}

interface Known {
  readonly phase: string;
  readonly version: number;
  readonly origin: Face["origin"];
  readonly findings: readonly Diagnostic[];
}

const KNOWN = new WeakMap<Face, Known>();

/** All that its dates decide about its findings; null: too much to tell, and there are few of that kind. */
function phaseOf({ kind, published }: Face, now: number, warnings: ExpiryWarnings): string | null {
  if (published === null) return "";
  if (kind !== "credential" && kind !== "trust") return null;
  const { notBefore, notAfter } = kind === "trust" ? lastOf(published.value as TrustBundle) : published;
  return `${now < notBefore} ${now > notAfter} ${expirySeverity(notBefore, notAfter, now, warnings)}`;
}

function findingsOf(face: Face, now: number, warnings: ExpiryWarnings): readonly Diagnostic[] {
  const { subject, source, costs } = face.origin;
  // Whoever has to replace it looks for the file.
  const told = (code: string, message: string): string => {
    const file = fileOf(face, code);
    return file === undefined ? message : `${message} (${file})`;
  };
  const at = { subject, source };
  const lost = costs === undefined ? {} : { effect: costs };
  const { published, rejected } = face;
  const found: Diagnostic[] = [];
  const kept = rejected === null ? undefined : face.current(now);
  if (rejected !== null) {
    const { code, message, remedy } = rejected;
    found.push(
      diagnose(code, {
        ...at,
        source: rejected.source ?? source,
        message: told(code, message),
        ...(remedy === undefined ? {} : { remedy }),
        ...(kept !== undefined
          ? { effect: "kept-previous" as const }
          : face.kind === "staple"
            ? { effect: "informational" as const }
            : lost),
      }),
    );
  }
  // Whatever a code means elsewhere: what is published with a warning is in use.
  for (const { code, message, remedy } of face.warnings) {
    const said = remedy === undefined ? {} : { remedy };
    found.push(
      diagnose(code, {
        ...at,
        message: told(code, message),
        ...said,
        severity: "warning",
        effect: "informational",
      }),
    );
  }
  if (kept !== undefined) {
    const end = Number.isFinite(kept.notAfter) ? ` until ${isoTime(kept.notAfter)}` : "";
    const message = `generation ${face.generation} of ${face.name} stays in use${end}`;
    found.push(diagnose("credential-kept-previous", { ...at, message }));
  }
  if (published === null) return found;
  if (face.kind === "staple") {
    const stale = face.dateFinding(now);
    return stale === null ? found : [...found, diagnose(stale.code, { ...at, message: stale.message })];
  }
  if (face.kind === "crl")
    return [...found, ...listFindings(face, published.value as RevocationBundle, now, warnings)];
  if (face.kind === "trust")
    return [...found, ...anchorFindings(face, published.value as TrustBundle, now, warnings)];
  const outOfDate = face.dateFinding(now);
  if (outOfDate !== null)
    return [
      ...found,
      diagnose(outOfDate.code, { ...at, ...lost, message: told(outOfDate.code, outOfDate.message) }),
    ];
  const { notBefore, notAfter, value } = published;
  if (isUnstapled(value)) {
    const { code, message } = withoutStaple(value);
    found.push(diagnose(code, { ...at, message: told(code, message) }));
  }
  const severity = expirySeverity(notBefore, notAfter, now, warnings);
  if (severity === null) return found;
  const ending = (value as Credential).facts.find((facts) => facts.notAfter === notAfter);
  const message = `${nameOf(ending)}${face.name} expires at ${isoTime(notAfter)}`;
  return [
    ...found,
    diagnose("certificate-expires-soon", {
      ...at,
      message: told("certificate-expires-soon", message),
      severity,
    }),
  ];
}

const NOTHING: readonly Diagnostic[] = [];

/** Of nearly all of thousands there is nothing to say, and this is all that it takes to see it. */
function isQuiet(face: Face, now: number, warnings: ExpiryWarnings): boolean {
  if (face.quiet.version !== face.version) face.quiet = quietOf(face, warnings);
  return now >= face.quiet.from && now < face.quiet.until;
}

function quietOf(face: Face, [longest = 0]: ExpiryWarnings): Face["quiet"] {
  const { version, published, kind } = face;
  const never = { version, from: Number.POSITIVE_INFINITY, until: Number.NEGATIVE_INFINITY };
  if (face.isFlawed || published === null) return never;
  if (kind === "trust")
    return {
      version,
      from: Number.NEGATIVE_INFINITY,
      until: lastOf(published.value as TrustBundle).notAfter - longest,
    };
  if (kind !== "credential" || isUnstapled(published.value)) return never;
  return { version, from: published.notBefore, until: published.notAfter - longest };
}

/** A list that is at its end turns peers away, where `crl_policy` says so. */
function listFindings(
  face: Face,
  { lists }: RevocationBundle,
  now: number,
  warnings: ExpiryWarnings,
): Diagnostic[] {
  const stale = staleIssuers(lists, now);
  const told = stale.map(({ issuer, nextUpdate }) => {
    const end = nextUpdate === null ? "says no end" : `was good until ${isoTime(nextUpdate)}`;
    return diagnose("crl-stale", { ...face.origin, message: `the list of ${issuer} in ${face.name} ${end}` });
  });
  const ending = newestLists(lists).flatMap(({ issuer, thisUpdate, nextUpdate }) => {
    if (nextUpdate === null || nextUpdate < now) return [];
    const severity = expirySeverity(thisUpdate, nextUpdate, now, warnings);
    if (severity === null) return [];
    const message = `the list of ${issuer} in ${face.name} is good until ${isoTime(nextUpdate)}`;
    return [diagnose("crl-stale-soon", { ...face.origin, message, severity })];
  });
  return [...told, ...ending];
}

/** An old CA in a bundle is no fault while another takes over; a bundle without any for the time to come is one. */
function anchorFindings(
  face: Face,
  bundle: TrustBundle,
  now: number,
  warnings: ExpiryWarnings,
): Diagnostic[] {
  const last = lastOf(bundle);
  const severity = expirySeverity(last.notBefore, last.notAfter, now, warnings);
  if (severity === null) return [];
  const message = `the last CA of ${face.name}, ${identified(last)}, ${last.notAfter < now ? "expired" : "expires"} at ${isoTime(last.notAfter)}`;
  const remedy = "Add the CA that follows it.";
  return [diagnose("certificate-expires-soon", { ...face.origin, message, remedy, severity })];
}

/** The CA that ends last. */
function lastOf({ facts }: TrustBundle): CertificateFacts {
  return facts.reduce((one, other) => (other.notAfter > one.notAfter ? other : one));
}

/** One that cannot be read is named already. */
function fileOf({ kind, origin: { files } }: Face, code: string): string | undefined {
  if (files === undefined || code === "certificate-file-unreadable" || code === "outside-group")
    return undefined;
  if (kind === "credential")
    return code.startsWith("private-key") ? files.privateKey : files.certificateChain;
  if (kind === "trust") return files.trustAnchors ?? files.certificateChain;
  return kind === "crl" ? files.crl : files.ocspStaple;
}

function nameOf(facts: CertificateFacts | undefined): string {
  return facts === undefined ? "" : `${identified(facts)} of `;
}
