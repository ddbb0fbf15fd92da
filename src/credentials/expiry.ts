import type { Severity } from "../diagnostics/diagnostic.ts";

/** How long before the end of a certificate it is said, in milliseconds; the longest first. */
export type ExpiryWarnings = readonly number[];

const DAY_MS = 24 * 3_600_000;
export const DEFAULT_EXPIRY_WARNINGS: ExpiryWarnings = [30 * DAY_MS, 7 * DAY_MS, DAY_MS];

/**
 * How bad it is that what lives from `from` to `until` ends soon; null: it does not. What lives less than three times the
 * longest warning is warned of in the same parts of its life, and what does not live as long as that not for information:
 * certificates of a mesh last a day, and are renewed in it, some in its last third.
 */
export function expirySeverity(
  from: number,
  until: number,
  now: number,
  warnings: ExpiryWarnings,
): Severity | null {
  const [longest] = warnings;
  if (longest === undefined || !Number.isFinite(until)) return null;
  const scale = Math.min(1, Math.max(0, until - from) / (3 * longest));
  const passed = warnings.filter((warning) => until - now <= warning * scale).length;
  if (passed === 0) return null;
  const severity = severityOf(passed, warnings.length);
  return severity === "info" && until - from <= longest ? null : severity;
}

/** The last warning is an error, the one before it a warning, whatever comes earlier for information. One alone is a warning. */
function severityOf(passed: number, all: number): Severity {
  if (all === 1) return "warning";
  if (passed === all) return "error";
  return passed === all - 1 ? "warning" : "info";
}
