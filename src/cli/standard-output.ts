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

/** For people. Of escape sequences only our own colours pass: what stands in a file or a certificate must not steer a terminal. */
export function printText(text: string): void {
  process.stdout.write(text.replace(inColour() ? STEERING_BUT_COLOURS : STEERING, "\ufffd"));
}

/** Controls of ASCII and Latin-1 but for tab and line feed, line separators, and what turns the direction of writing. */
const STEERING = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const STEERING_BUT_COLOURS = new RegExp(`(?!\\x1b\\[(?:[0-2]|3[1-6])m)${STEERING.source}`, "g");

/** Two spaces an indent, a line break at the end: what every verb prints for machines. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** `1 route`, `2 routes`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
