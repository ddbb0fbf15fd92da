import { InvalidArgumentError, Option } from "commander";
import type { ExpiryWarnings } from "../credentials/expiry.ts";

/** When the end of a certificate is said. */
export function expiryWarningsOption(): Option {
  return new Option(
    "--expiry-warnings <times>",
    "before a certificate ends it is said: for information, as a warning, as an error",
  )
    .argParser(expiryWarnings)
    .default(expiryWarnings("30d,7d,1d"), "30d,7d,1d");
}

/** `30d,7d,12h`: days, hours or minutes, in any order. */
export function expiryWarnings(text: string): ExpiryWarnings {
  const times = text.split(",").map((part) => {
    const [, count, unit] = /^(\d{1,5})([dhm])$/.exec(part.trim()) ?? [];
    if (count === undefined || Number(count) === 0)
      throw new InvalidArgumentError("It must be a list such as 30d,7d,12h (days, hours, minutes).");
    return Number(count) * (UNITS_MS[unit as keyof typeof UNITS_MS] ?? 0);
  });
  return [...new Set(times)].sort((a, b) => b - a);
}

const UNITS_MS = { d: 24 * 3_600_000, h: 3_600_000, m: 60_000 } as const;
