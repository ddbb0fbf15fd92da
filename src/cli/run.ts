import { existsSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import pretty from "pino-pretty";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import { type Gateway, wireGateway } from "./wire.ts";

export interface RunFlags {
  readonly address: string;
  readonly httpPort?: number;
  readonly httpsPort?: number;
  readonly adminAddress: string;
  readonly adminPort: number;
  readonly readyFile?: string;
  readonly drainSeconds: number;
  readonly requireUpstreamVerification: boolean;
  readonly allowPartial: boolean;
  readonly allowUnenforced: boolean;
  readonly ambassadorId: string;
  readonly accessLog: boolean;
  readonly logLevel: string;
  readonly logFormat: "auto" | "json" | "pretty";
  readonly maxConnections: number;
  readonly maxRequests: number;
  readonly maxUpstreamConnections: number;
  readonly maxHeadKib: number;
  readonly maxHeaders: number;
  readonly headTimeout: number;
  readonly bodyTimeout: number;
  readonly idleTimeout: number;
}

/** Serves until a signal ends it. */
export async function run(paths: readonly string[], flags: RunFlags): Promise<void> {
  for (const path of paths) {
    if (existsSync(path)) continue;
    console.error(`credence: there is no ${path}`);
    process.exitCode = 2;
    return;
  }
  const isPretty =
    flags.logFormat === "pretty" || (flags.logFormat === "auto" && process.stderr.isTTY === true);
  const logger = createLogger(
    flags.logLevel,
    isPretty ? pretty({ destination: 2, ignore: "pid,hostname", sync: true }) : undefined,
  );
  const gateway = wireGateway({
    paths,
    ambassadorId: flags.ambassadorId,
    compile: {
      address: flags.address,
      httpPort: flags.httpPort,
      httpsPort: flags.httpsPort,
      requireUpstreamVerification: flags.requireUpstreamVerification,
      allowUnenforced: flags.allowUnenforced,
    },
    limits: {
      maxConnections: flags.maxConnections,
      maxRequestsInFlight: flags.maxRequests,
      maxUpstreamConnections: flags.maxUpstreamConnections,
      maxHeadBytes: flags.maxHeadKib * 1024,
      maxHeaders: flags.maxHeaders,
      headTimeoutMs: flags.headTimeout * 1000,
      bodyTimeoutMs: flags.bodyTimeout * 1000,
      idleTimeoutMs: flags.idleTimeout * 1000,
      retireMs: flags.drainSeconds * 1000,
    },
    accessLog: flags.accessLog,
    allowPartial: flags.allowPartial,
    logger,
  });

  let admin: { address: string; port: number };
  try {
    admin = await gateway.admin.open(flags.adminAddress, flags.adminPort);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    console.error(
      `credence: the admin port ${flags.adminAddress}:${flags.adminPort} cannot be opened: ${code}. Choose another with --admin-port.`,
    );
    await gateway.close();
    process.exitCode = 1;
    return;
  }
  const stopWatching = gateway.source.watch(() => void gateway.control.reload());
  handleSignals(gateway, flags, logger, stopWatching);
  await gateway.control.reload();
  const { revision, listeners, diagnostics } = gateway.control.state;
  if (revision === null) {
    for (const { code, message, remedy } of diagnostics.filter((found) => found.severity === "error")) {
      console.error(`credence: ${code}: ${message}. ${remedy}`);
    }
    process.exit(1);
  }
  const where = (name: string): string | null => {
    const bound = listeners.find((listener) => listener.name === name);
    return bound === undefined ? null : `${bound.address}:${bound.port}`;
  };
  const ready = {
    pid: process.pid,
    revision: revision.number,
    http: where("http"),
    https: where("https"),
    admin: `${admin.address}:${admin.port}`,
  };
  logger.info(ready, "credence serves");
  if (flags.readyFile !== undefined) await writeWhole(flags.readyFile, `${JSON.stringify(ready)}\n`);
}

/** First signal: drain, then 0. Second: at once. */
function handleSignals(gateway: Gateway, flags: RunFlags, logger: Logger, stopWatching: () => void): void {
  process.on("SIGHUP", () => {
    logger.info("reloading");
    void gateway.control.reload();
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, async () => {
      if (gateway.draining) process.exit(128 + constants.signals[signal]);
      gateway.draining = true;
      logger.info({ signal, seconds: flags.drainSeconds }, "draining");
      stopWatching();
      if (flags.readyFile !== undefined) await rm(flags.readyFile, { force: true });
      await gateway.engine.drain(flags.drainSeconds * 1000);
      await gateway.engine.stop();
      await gateway.admin.close();
      await gateway.close();
      process.exit(0);
    });
  }
}

/** A reader sees the whole file or none. */
async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await writeFile(temporary, text);
  await rename(temporary, file);
}
