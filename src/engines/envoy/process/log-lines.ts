import type { Logger } from "../../../telemetry/logger.ts";

/** Flags that make Envoy write lines which `joinLog` reads: level, logger and text, one line an entry. */
export function logFlags(level: string): string[] {
  return [
    "--log-format",
    "%l %n %v",
    // A text of several lines stays one entry.
    "--log-format-escaped",
    // Which fields are deprecated is a matter for who writes the translation, not for who runs it.
    "--skip-deprecated-logs",
    "--log-level",
    // What Envoy calls info is dozens of lines about its start.
    level === "debug" ? "info" : level === "silent" ? "off" : level === "error" ? "error" : "warning",
  ];
}

/**
 * Takes what Envoy writes to standard error, in pieces, and hands its entries to our log at their levels. While it is being
 * ended, what it says of that is nobody's concern.
 */
export function joinLog(
  logger: Logger,
  isEnding: () => boolean = () => false,
): { write(piece: string): void; end(): void } {
  let rest = "";
  return {
    write(piece) {
      const lines = (rest + piece).split("\n");
      rest = (lines.pop() ?? "").slice(0, LONGEST_LINE);
      for (const line of lines) say(logger, line, isEnding());
    },
    end() {
      say(logger, rest, isEnding());
      rest = "";
    },
  };
}

const LONGEST_LINE = 64 * 1024;

/** Envoy's levels; its info is about its own workings. */
const LEVELS: Readonly<Record<string, "debug" | "warn" | "error">> = {
  trace: "debug",
  debug: "debug",
  info: "debug",
  warning: "warn",
  error: "error",
  critical: "error",
};

function say(logger: Logger, line: string, isEnding: boolean): void {
  if (line.trim() === "") return;
  const [, level = "", component = "", text = ""] = /^([a-z]+) (\S+) (.*)$/.exec(line) ?? [];
  const ours = LEVELS[level];
  // Not in the format: written before the log was set up, or by the process's end.
  if (ours === undefined) logger[isEnding ? "debug" : "warn"]({ envoy: "process" }, unescaped(line));
  else logger[isEnding || isRoutine(text) ? "debug" : ours]({ envoy: component }, unescaped(text));
}

/** About the maturity of an API that translation chose: a matter for who writes it, and said for each use. */
function isRoutine(text: string): boolean {
  return text.includes("is marked as work-in-progress");
}

/** `--log-format-escaped` writes C's escapes. */
function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (whole, letter: string) => ESCAPES[letter] ?? whole).trimEnd();
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "'": "'",
  '"': '"',
  "\\": "\\",
};
