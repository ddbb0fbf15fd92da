import { harmless } from "../telemetry/terminal.ts";

/** `credence check … | head`: a reader that has seen enough ends the command, and is no fault. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit();
  });
}

/** Escape sequences only where a person looks (https://no-color.org). */
export function inColour(): boolean {
  return process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
}

/** For people. */
export function printText(text: string): void {
  process.stdout.write(harmless(text, inColour()));
}

/** Two spaces an indent, a line break at the end: what every verb prints for machines. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** `1 route`, `2 routes`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
