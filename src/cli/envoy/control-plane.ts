import { readFileSync } from "node:fs";
import { renderText } from "../../diagnostics/render.ts";
import type { FleetGroup } from "../../engines/envoy/fleet/groups.ts";
import { addressText } from "../../model/address.ts";
import { systemClock } from "../../telemetry/clock.ts";
import { createLogger, type LogFormat, type Logger, logDestination } from "../../telemetry/logger.ts";
import { harmless } from "../../telemetry/terminal.ts";
import { type ListenerFlags, type ResourceFlags, servingOptionsOf } from "../load.ts";
import { allExist } from "../paths.ts";
import { removeReadyFile, writeReadyFile } from "../ready-file.ts";
import { inColour } from "../standard-output.ts";
import { collectWhenIdle } from "./idle-collection.ts";
import { readFleetFile } from "./fleet-file.ts";
import type { HostPort } from "../flag-values.ts";
import { wireFleet } from "./wire-fleet.ts";
import { followXdsIdentity, type XdsFiles } from "./xds-identity.ts";

export interface ControlPlaneFlags extends ResourceFlags, ListenerFlags, XdsFiles {
  readonly xdsAddress: HostPort;
  readonly fleet?: string;
  readonly adminAddress: string;
  readonly adminPort: number;
  readonly readyFile?: string;
  readonly allowPartial?: boolean;
  readonly accessLog: boolean;
  readonly logLevel: string;
  readonly logFormat: LogFormat;
}

/** Serves a fleet of Envoys that others run, over mutual TLS, until a signal ends it. */
export async function controlPlane(paths: readonly string[], flags: ControlPlaneFlags): Promise<void> {
  if (!allExist(paths, { followed: true })) {
    process.exitCode = 2;
    return;
  }
  const groups = flags.fleet === undefined ? null : fleetOf(flags.fleet);
  if (groups === "invalid") {
    process.exitCode = 1;
    return;
  }
  const logger = createLogger(flags.logLevel, logDestination(flags.logFormat));
  const clock = systemClock;
  const identity = await followXdsIdentity(flags, clock, logger);
  const tls = identity.current();
  if (tls === null) {
    for (const problem of identity.problems) console.error(`credence: the xDS stream: ${problem}.`);
    process.exit(1);
  }
  const { ads, planes, admin } = wireFleet({
    paths,
    groups,
    ambassadorId: flags.ambassadorId,
    istioCerts: flags.istioCerts,
    expiryWarnings: flags.expiryWarnings,
    compile: servingOptionsOf({ ...flags, engine: "envoy" }),
    incompleteStart: flags.allowPartial === true ? "ready" : "withheld",
    accessLog: flags.accessLog,
    admin: { address: flags.adminAddress, port: flags.adminPort },
    logger,
    clock,
  });
  const reload = (): Promise<unknown> => Promise.all(planes.map(({ control }) => control.reload()));
  handleSignals(flags, logger, reload);
  const { address, port } = flags.xdsAddress;
  const opened = await admin.open().catch((error: Error) => error);
  if (opened instanceof Error) {
    const place = addressText(flags.adminAddress, flags.adminPort);
    return fail(
      `the admin server cannot open ${place}: ${codeOf(opened)}. Free the port, or choose another with --admin-port`,
    );
  }
  // Not before: another control plane may be the one that has the admin port, and this its file.
  // One that a killed process has left says nothing of this one. What cannot be removed cannot be written either, which is told then.
  if (flags.readyFile !== undefined) removeReadyFile(flags.readyFile);
  for (const { source, control } of planes) source.watch(() => void control.reload("noticed"));
  await reload();
  for (const { control } of planes) await control.rehearse();
  // What the start has left would be in memory beside what clients that connect at once are sent.
  collectWhenIdle(clock);
  // Only now: whoever connects finds its world complete.
  const listening = await ads.listen({ address, port, tls }).catch((error: Error) => error);
  if (listening instanceof Error) {
    return fail(
      `the xDS address ${addressText(address, port)} cannot be opened: ${codeOf(listening)}. End what listens there, or give another --xds-address`,
    );
  }
  identity.onChange(() => {
    const renewed = identity.current();
    if (renewed === null) return;
    listening.renew(renewed);
    logger.info("new connections for xDS are made with the new files");
  });
  const ready = {
    pid: process.pid,
    xds: addressText(address, listening.port ?? port),
    admin: addressText(opened.address, opened.port),
  };
  logger.info({ ...ready, groups: groups?.map(({ name }) => name) }, "the control plane serves");
  if (flags.readyFile === undefined) return;
  const unwritten = await writeReadyFile(flags.readyFile, ready).catch((error: Error) => error);
  if (unwritten instanceof Error)
    return fail(`the ready file ${flags.readyFile} cannot be written: ${codeOf(unwritten)}`);
}

/** The groups; what is wrong with them is said. */
function fleetOf(file: string): FleetGroup[] | "invalid" {
  const read = readFleetFile(file);
  if ("groups" in read) return read.groups;
  const readText = (path: string): string | undefined => {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined;
    }
  };
  const colours = inColour();
  for (const found of read.diagnostics)
    console.error(`${harmless(renderText(found, readText, colours), colours)}\n`);
  return "invalid";
}

/** Its Envoys keep what they have and connect again: there is nothing to drain. */
function handleSignals(flags: ControlPlaneFlags, logger: Logger, reload: () => Promise<unknown>): void {
  const removeFile = (): void => {
    const problem = flags.readyFile === undefined ? null : removeReadyFile(flags.readyFile);
    if (problem !== null) logger.warn(problem);
  };
  process.on("SIGHUP", () => {
    logger.info("SIGHUP: reloading");
    void reload();
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      removeFile();
      logger.info(`${signal}: stopped; the fleet keeps what it has`);
      process.exit(0);
    });
  }
  process.on("uncaughtException", (error) => {
    logger.fatal({ err: error }, "a fault of Credence's own; the process ends");
    removeFile();
    process.exit(70);
  });
}

function fail(reason: string): never {
  console.error(`credence: ${reason}.`);
  process.exit(1);
}

function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? error.message;
}
