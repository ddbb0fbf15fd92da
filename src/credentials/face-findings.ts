import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { RevocationBundle, TrustBundle } from "./credential.ts";
import { staleIssuers } from "./crl-admission.ts";
import type { Face, Published } from "./face.ts";

/** What there is to say about a face at `now`, on the object that it came from. */
export function faceFindings(face: Face, now: number): Diagnostic[] {
  const { subject, source } = face.origin;
  const at = { subject, source };
  const { published, rejected } = face;
  const found: Diagnostic[] = [];
  const kept = rejected === null ? undefined : face.current(now);
  if (rejected !== null) {
    const { code, message, remedy } = rejected;
    found.push(
      diagnose(code, {
        ...at,
        source: rejected.source ?? source,
        message,
        ...(remedy === undefined ? {} : { remedy }),
        ...(kept !== undefined
          ? { effect: "kept-previous" as const }
          : face.kind === "staple"
            ? { effect: "informational" as const }
            : {}),
      }),
    );
  }
  // Whatever a code means elsewhere: what is published with a warning is in use.
  for (const { code, message, remedy } of face.warnings) {
    const said = remedy === undefined ? {} : { remedy };
    found.push(diagnose(code, { ...at, message, ...said, severity: "warning", effect: "informational" }));
  }
  if (kept !== undefined) {
    const end = Number.isFinite(kept.notAfter) ? ` until ${new Date(kept.notAfter).toISOString()}` : "";
    const message = `generation ${face.generation} of ${face.name} stays in use${end}`;
    found.push(diagnose("credential-kept-previous", { ...at, message }));
  }
  if (published === null) return found;
  if (face.kind === "staple") {
    const stale = face.dateFinding(now);
    return stale === null ? found : [...found, diagnose(stale.code, { ...at, message: stale.message })];
  }
  if (face.kind === "crl") return [...found, ...listFindings(face, published.value as RevocationBundle, now)];
  if (face.kind === "trust") return [...found, ...anchorFindings(face, published.value as TrustBundle, now)];
  const outOfDate = face.dateFinding(now);
  if (outOfDate !== null) found.push(diagnose(outOfDate.code, { ...at, message: outOfDate.message }));
  else if (published.notAfter - now <= warningMs(published)) {
    const message = `${face.name} expires at ${new Date(published.notAfter).toISOString()}`;
    found.push(diagnose("certificate-expires-soon", { ...at, message }));
  }
  return found;
}

/** 30 days; a certificate that lives no longer is renewed by its issuer, and is late in the last tenth of its life. */
function warningMs({ notBefore, notAfter }: Published): number {
  const lifetime = notAfter - notBefore;
  return lifetime <= EXPIRY_WARNING_MS ? lifetime / 10 : EXPIRY_WARNING_MS;
}

const EXPIRY_WARNING_MS = 30 * 24 * 3_600_000;

function listFindings(face: Face, { lists }: RevocationBundle, now: number): Diagnostic[] {
  return staleIssuers(lists, now).map(({ issuer, nextUpdate }) => {
    const end = nextUpdate === null ? "says no end" : `was good until ${new Date(nextUpdate).toISOString()}`;
    return diagnose("crl-stale", { ...face.origin, message: `the list of ${issuer} in ${face.name} ${end}` });
  });
}

/** An old CA in a bundle is no fault while another takes over; a bundle without any for the next 30 days is one. */
function anchorFindings(face: Face, { facts }: TrustBundle, now: number): Diagnostic[] {
  const end = Math.max(...facts.map(({ notAfter }) => notAfter));
  if (!Number.isFinite(end) || end - now > EXPIRY_WARNING_MS) return [];
  const message = `the last CA of ${face.name} ${end < now ? "expired" : "expires"} at ${new Date(end).toISOString()}`;
  return [
    diagnose("certificate-expires-soon", { ...face.origin, message, remedy: "Add the CA that follows it." }),
  ];
}
