import { isatty } from "node:tty";
import { type DestinationStream, type Logger as PinoLogger, pino } from "pino";
import { prettyFactory } from "pino-pretty";
import { harmless } from "./terminal.ts";

/** Structured log: `logger.warn({ route, reason }, "sentence")`. Key material is never passed to it. */
export type Logger = PinoLogger;

/** JSON lines to `destination` (default: standard error), so that standard output stays the command's answer. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    destination ?? pino.destination(2),
  );
}

export type LogFormat = "json" | "pretty" | "auto";

/** Where log lines go: as they are, or for a person's eyes; `auto` is the latter on a terminal. */
export function logDestination(format: LogFormat, descriptor = 2): DestinationStream {
  const onTerminal = isatty(descriptor);
  if (format === "json" || (format === "auto" && !onTerminal)) return pino.destination(descriptor);
  const colorize = onTerminal && process.env.NO_COLOR === undefined;
  const print = prettyFactory({
    colorize,
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "pid,hostname",
    singleLine: true,
    // A line of its own would pass for another entry.
    messageFormat: (log, key) => harmless(String(log[key] ?? ""), false).replaceAll("\n", "\n    "),
  });
  const lines = pino.destination(descriptor);
  // In this process, not in pino's worker thread: lines are few, and the last ones before the end must not be lost.
  return { write: (line) => void lines.write(harmless(print(line) ?? "", colorize)) };
}
