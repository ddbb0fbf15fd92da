import { isIP } from "node:net";
import { InvalidArgumentError } from "commander";

export function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

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

/** `30s`, `15m`, `24h`, `7d`, in milliseconds. */
export function duration(text: string): number {
  const [, count, unit] = /^(\d{1,6})(s|m|h|d)$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError("A time is a number and s, m, h or d.");
  return Number(count) * ({ s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit as "s"] as number);
}
