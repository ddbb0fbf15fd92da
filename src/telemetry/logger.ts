import { type DestinationStream, type Logger as PinoLogger, pino } from "pino";

/** Structured log: `logger.warn({ route, reason }, "sentence")`. Key material is never passed to it. */
export type Logger = PinoLogger;

/** JSON lines to `destination` (default: standard error), so that standard output stays the command's answer. */
export function createLogger(level: string, destination?: DestinationStream): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    destination ?? pino.destination(2),
  );
}
