import { constants } from "node:os";
import type { BoundListener } from "../engines/engine.ts";
import { addressText } from "../model/address.ts";
import { createLogger, type LogFormat, type Logger, logDestination } from "../telemetry/logger.ts";
import { type LimitFlags, limitsOf } from "./limit-flags.ts";
import { type EnvoyFlags, hasEnvoyFlags } from "./envoy-flags.ts";
import { type ListenerFlags, type ResourceFlags, servingOptionsOf } from "./load.ts";
import { allExist } from "./paths.ts";
import { type Ready, removeReadyFile, writeReadyFile } from "./ready-file.ts";
import { type Gateway, type GatewayOptions, wireGateway } from "./wire.ts";

export interface RunFlags extends ResourceFlags, ListenerFlags, LimitFlags, EnvoyFlags {
  readonly adminAddress: string;
  readonly adminPort: number;
  readonly readyFile?: string;
  readonly drainSeconds: number;
  readonly allowPartial?: boolean;
  readonly accessLog: boolean;
  readonly logLevel: string;
  readonly logFormat: LogFormat;
}

/** Serves until a signal ends it. */
export async function run(paths: readonly string[], flags: RunFlags): Promise<void> {
  if (!allExist(paths, { followed: true })) {
    process.exitCode = 2;
    return;
  }
  const logger = createLogger(flags.logLevel, logDestination(flags.logFormat));
  if (flags.engine !== "envoy" && hasEnvoyFlags(flags)) {
    console.error("credence: the flags that begin with --envoy need --engine envoy");
    process.exitCode = 2;
    return;
  }
  const gateway = await createGateway(paths, flags, logger);
  if (gateway === null) {
    process.exitCode = 1;
    return;
  }
  // Before the first load: a signal at any moment has its meaning.
  const signals = handleSignals(gateway, flags, logger);
  const admin = await gateway.admin.open().catch((error: NodeJS.ErrnoException) => error);
  if (admin instanceof Error) {
    const place = addressText(flags.adminAddress, flags.adminPort);
    await fail(gateway, [
      `the admin server cannot open ${place}: ${admin.code ?? admin.message}. Free the port, or choose another with --admin-port.`,
    ]);
    return;
  }
  // Not before: another gateway may be the one that has the admin port, and this its file.
  // One that a killed process has left says nothing of this one. What cannot be removed cannot be written either, which is told then.
  if (flags.readyFile !== undefined) removeReadyFile(flags.readyFile);
  signals.stopWatching = gateway.source.watch(() => void gateway.control.reload("noticed"));
  await gateway.control.reload();
  if (signals.ending) return;
  const { revision, listeners, diagnostics, fault } = gateway.control.state;
  if (revision === null) {
    const errors = diagnostics.filter(
      ({ code }) => code === "listener-port-unavailable" || code === "engine-refused",
    );
    await fail(gateway, [
      ...(fault === null ? [] : [`the resources cannot be loaded, by a fault of Credence's own: ${fault}.`]),
      ...errors.map(({ message, remedy }) => `${message}. ${remedy}`),
    ]);
    return;
  }
  const unserved = await gateway.serving().catch((error: Error) => error);
  if (signals.ending) return;
  if (unserved instanceof Error) {
    await fail(gateway, [`${unserved.message}.`]);
    return;
  }
  const ready: Ready = {
    pid: process.pid,
    revision: revision.number,
    http: placeOf(listeners.find(({ name }) => name === "http")),
    https: placeOf(listeners.find(({ name }) => name === "https")),
    admin: placeOf(admin),
  };
  logger.info(ready, "credence serves");
  if (flags.readyFile === undefined) return;
  try {
    await writeReadyFile(flags.readyFile, ready);
    // The signal may have come, and its removal been done, while this was written.
    if (signals.ending) removeReadyFile(flags.readyFile);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    await fail(gateway, [`the ready file ${flags.readyFile} cannot be written: ${code ?? message}.`]);
  }
}

/** null: it cannot be had, and why is said. */
async function createGateway(
  paths: readonly string[],
  flags: RunFlags,
  logger: Logger,
): Promise<Gateway | null> {
  const options: Omit<GatewayOptions, "limits"> = {
    paths,
    ambassadorId: flags.ambassadorId,
    istioCerts: flags.istioCerts,
    expiryWarnings: flags.expiryWarnings,
    compile: servingOptionsOf(flags),
    accessLog: flags.accessLog,
    incompleteStart: flags.allowPartial === true ? "ready" : "not-ready",
    admin: { address: flags.adminAddress, port: flags.adminPort },
    logger,
  };
  // What Envoy needs, protobuf above all, is not loaded where it is not used.
  if (flags.engine === "envoy") return (await import("./envoy/run.ts")).createEnvoyGateway(options, flags);
  return wireGateway({ ...options, limits: { ...limitsOf(flags), retireMs: flags.drainSeconds * 1000 } });
}

interface Signals {
  ending: boolean;
  stopWatching: () => void;
}

/** First signal: drain, then 0. Second: at once, with the status that shells give a process ended by it. */
function handleSignals(gateway: Gateway, flags: RunFlags, logger: Logger): Signals {
  const signals: Signals = { ending: false, stopWatching: () => {} };
  const removeFile = (): void => {
    const problem = flags.readyFile === undefined ? null : removeReadyFile(flags.readyFile);
    if (problem !== null) logger.warn(problem);
  };
  const end = async (why: string): Promise<void> => {
    signals.ending = true;
    logger.info({ seconds: flags.drainSeconds }, `${why}: draining`);
    signals.stopWatching();
    removeFile();
    await gateway.shutDown(flags.drainSeconds * 1000);
    logger.info("stopped");
    process.exit(0);
  };
  process.on("SIGHUP", () => {
    // Nothing new is published while what is in flight ends.
    if (signals.ending) return;
    logger.info("SIGHUP: reloading");
    void gateway.control.reload();
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (!signals.ending) return void end(signal);
      void gateway.flush();
      process.exit(128 + constants.signals[signal]);
    });
  }
  // `credence demo` holds a channel to its gateway: when it is gone, nobody is left to end us.
  if (process.connected) process.once("disconnect", () => void (signals.ending || end("parent ended")));
  process.on("uncaughtException", (error) => {
    logger.fatal({ err: error }, "a fault of Credence's own; the process ends");
    removeFile();
    void gateway.flush();
    process.exit(70);
  });
  return signals;
}

async function fail(gateway: Gateway, reasons: readonly string[]): Promise<void> {
  for (const reason of reasons) console.error(`credence: ${reason}`);
  await gateway.shutDown(0);
  process.exit(1);
}

function placeOf(bound: Pick<BoundListener, "address" | "port"> | undefined): string | null {
  if (bound === undefined) return null;
  return addressText(bound.address, bound.port);
}
