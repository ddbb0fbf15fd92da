import { isIP } from "node:net";
import { InvalidArgumentError } from "commander";
import type { ExpiryWarnings } from "../credentials/expiry.ts";

/* How the texts of flags are read. Each throws what commander shows beside the flag's name. */

/** 0 or more. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

/** 1 or more. */
export function positiveNumber(text: string): number {
  const value = wholeNumber(text);
  if (value === 0) throw new InvalidArgumentError("It must be 1 or more.");
  return value;
}

/** 0 means: pick a free one. */
export function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 65535)) throw new InvalidArgumentError("A port is a number from 0 to 65535.");
  return value;
}

/** A name would be looked up by one engine and refused by the other. */
export function ipAddress(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError("It must be an IP address, such as 0.0.0.0 or ::.");
  return text;
}

/** An address or name with a port. */
export interface HostPort {
  readonly address: string;
  readonly port: number;
}

/** `127.0.0.1:18000`, `[::1]:18000`, `control.example:18000`. */
export function hostPort(text: string): HostPort {
  const found = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text);
  const address = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (address === undefined || port > 65_535)
    throw new InvalidArgumentError("It must be HOST:PORT, e.g. 127.0.0.1:18000.");
  return { address, port };
}

/** `30s`, `15m`, `24h`, `7d`, in milliseconds. */
export function duration(text: string): number {
  const [, count, unit] = /^(\d{1,6})(s|m|h|d)$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError("A time is a number and s, m, h or d.");
  return Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
}

/** `30d,7d,12h`: days, hours or minutes, in any order. */
export function expiryWarnings(text: string): ExpiryWarnings {
  const times = text.split(",").map((part) => {
    const [, count, unit] = /^(\d{1,5})([dhm])$/.exec(part.trim()) ?? [];
    if (count === undefined || Number(count) === 0)
      throw new InvalidArgumentError("It must be a list such as 30d,7d,12h (days, hours, minutes).");
    return Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
  });
  return [...new Set(times)].sort((a, b) => b - a);
}

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
