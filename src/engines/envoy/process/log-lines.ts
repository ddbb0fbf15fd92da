import type { Logger } from "../../../telemetry/logger.ts";

/** Flags that make Envoy write lines which `joinLog` reads: level, logger and text by tabs, one line an entry. */
export function logFlags(level: string): string[] {
  return [
    "--log-format",
    "%l\t%n\t%v",
    // A text of several lines stays one entry.
    "--log-format-escaped",
    // Which fields are deprecated is a matter for who writes the translation, not for who runs it.
    "--skip-deprecated-logs",
    "--log-level",
    // What Envoy calls info is dozens of lines about its start.
    level === "debug" ? "info" : level === "silent" ? "off" : level === "error" ? "error" : "warning",
  ];
}

/** Takes what Envoy writes to standard error, in pieces, and hands its entries to our log at their levels. */
export function joinLog(logger: Logger): { write(piece: string): void; end(): void } {
  let rest = "";
  return {
    write(piece) {
      const lines = (rest + piece).split("\n");
      rest = (lines.pop() ?? "").slice(0, LONGEST_LINE);
      for (const line of lines) say(logger, line);
    },
    end() {
      say(logger, rest);
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

function say(logger: Logger, line: string): void {
  if (line.trim() === "") return;
  const [level = "", component = "", ...text] = line.split("\t");
  const ours = LEVELS[level];
  // Not in the format: written before the log was set up, or by the process's end.
  if (ours === undefined || text.length === 0) logger.warn({ envoy: "process" }, line);
  else logger[ours]({ envoy: component }, text.join("\t"));
}
