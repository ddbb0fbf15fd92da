import { readFileSync } from "node:fs";
import { registerGatewayMetrics } from "../../admin/gateway-metrics.ts";
import { createAdminServer } from "../../admin/server.ts";
import { renderText } from "../../diagnostics/render.ts";
import { createNameServers } from "../../endpoints/name-servers.ts";
import { NameWatch } from "../../endpoints/name-watch.ts";
import { createAdsServer } from "../../engines/envoy/ads/server.ts";
import { createEnvoyEngine, type EnvoyEngine } from "../../engines/envoy/engine.ts";
import { failureStream } from "../../engines/envoy/failure-stream.ts";
import { OWN_CLUSTER } from "../../engines/envoy/process/bootstrap.ts";
import { authorizeEverybody, authorizeFleet } from "../../engines/envoy/fleet/authorize.ts";
import type { FleetGroup } from "../../engines/envoy/fleet/groups.ts";
import { systemClock } from "../../telemetry/clock.ts";
import { createLogger, type LogFormat, type Logger, logDestination } from "../../telemetry/logger.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { harmless } from "../../telemetry/terminal.ts";
import { allExist } from "../paths.ts";
import { registerFailureMetrics } from "../failure-metrics.ts";
import { boundsOf } from "../group-bounds.ts";
import { type Plane, wirePlane } from "../plane.ts";
import type { ResourceFlags } from "../load.ts";
import { removeReadyFile, writeJsonFile } from "../ready-file.ts";
import { inColour } from "../standard-output.ts";
import { collectWhenIdle } from "./idle-collection.ts";
import { FailureCounts } from "./failure-counts.ts";
import { readFleetFile } from "./fleet-file.ts";
import { registerFleetMetrics, registerRefusalMetrics } from "./metrics.ts";
import type { HostPort } from "./places.ts";
import { reportedProxies } from "./reported-proxies.ts";
import { followXdsIdentity, type XdsFiles } from "./xds-identity.ts";

export interface ControlPlaneFlags extends ResourceFlags, XdsFiles {
  readonly xdsAddress: HostPort;
  readonly fleet?: string;
  readonly address: string;
  readonly httpPort?: number;
  readonly httpsPort?: number;
  readonly adminAddress: string;
  readonly adminPort: number;
  readonly readyFile?: string;
  readonly allowPartial?: boolean;
  readonly accessLog: boolean;
  readonly logLevel: string;
  readonly logFormat: LogFormat;
}

type FleetPlane = Plane<EnvoyEngine> & { readonly group?: string };

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
  const authorize = groups === null ? authorizeEverybody(EVERYBODY) : authorizeFleet(groups);
  const failed = new Map((groups ?? [{ name: EVERYBODY }]).map(({ name }) => [name, new FailureCounts()]));
  const ads = createAdsServer({
    clock,
    logger,
    authorize,
    services: [failureStream(authorize, (group) => failed.get(group))],
  });
  const servers = createNameServers({ servers: [], now: () => clock.now() });
  const planes: FleetPlane[] = (groups ?? [null]).map((group) => {
    const named = group === null ? logger : logger.child({ group: group.name });
    const names =
      group?.resolvesNames === true
        ? new NameWatch({ clock, logger: named, lookup: servers.lookup })
        : undefined;
    const plane = wirePlane({
      paths,
      ambassadorId: group?.ambassadorId ?? flags.ambassadorId,
      istioCerts: flags.istioCerts,
      expiryWarnings: flags.expiryWarnings,
      groupBounds: boundsOf(group),
      compile: {
        engine: "envoy",
        address: flags.address,
        httpPort: flags.httpPort,
        httpsPort: flags.httpsPort,
        requireUpstreamVerification: flags.requireUpstreamVerification,
        allowUnenforced: flags.allowUnenforced,
      },
      allowPartial: flags.allowPartial === true,
      names,
      logger: named,
      clock,
      engine: ({ store, discovered, onFailure, onHandshakeFailed }) => {
        const name = group?.name ?? EVERYBODY;
        const counts = failed.get(name);
        if (counts !== undefined) {
          counts.onFailure = onFailure;
          counts.onHandshakeFailed = onHandshakeFailed;
        }
        return createEnvoyEngine({
          ads,
          group: name,
          credentials: store,
          discovered,
          knowsNames: names !== undefined,
          logger,
          clock,
          ownCluster: OWN_CLUSTER,
          accessLog: flags.accessLog,
          waitForClientsMs: WAIT_FOR_FLEET_MS,
        });
      },
    });
    return group === null ? plane : { ...plane, group: group.name };
  });
  const metrics = new Metrics();
  registerGatewayMetrics(metrics, planes);
  registerFleetMetrics(metrics, planes);
  registerRefusalMetrics(metrics, ads);
  registerFailureMetrics(
    metrics,
    [...failed].map(([group, { byReason }]) => ({
      ...(groups === null ? {} : { group }),
      counts: byReason,
    })),
  );
  const admin = createAdminServer({
    address: flags.adminAddress,
    port: flags.adminPort,
    planes: planes.map((plane) => ({ ...plane, proxies: () => reportedProxies(plane.engine.fleet) })),
    metrics,
    clock,
    logger,
  });
  const reload = (): Promise<unknown> => Promise.all(planes.map(({ control }) => control.reload()));
  handleSignals(flags, logger, reload);
  const { address, port } = flags.xdsAddress;
  const opened = await admin.open().catch((error: Error) => error);
  if (opened instanceof Error) {
    const place = placeText(flags.adminAddress, flags.adminPort);
    return fail(
      `the admin server cannot open ${place}: ${codeOf(opened)}. Free the port, or choose another with --admin-port`,
    );
  }
  for (const { source, control } of planes) source.watch(() => void control.reload("noticed"));
  await reload();
  for (const { control } of planes) await control.rehearse();
  // What the start has left would be in memory beside what clients that connect at once are sent.
  collectWhenIdle(clock);
  // Only now: whoever connects finds its world complete.
  const listening = await ads.listen({ address, port, tls }).catch((error: Error) => error);
  if (listening instanceof Error) {
    return fail(
      `the xDS address ${placeText(address, port)} cannot be opened: ${codeOf(listening)}. End what listens there, or give another --xds-address`,
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
    xds: placeText(address, listening.port ?? port),
    admin: placeText(opened.address, opened.port),
  };
  logger.info({ ...ready, groups: groups?.map(({ name }) => name) }, "the control plane serves");
  if (flags.readyFile === undefined) return;
  const unwritten = await writeJsonFile(flags.readyFile, ready).catch((error: Error) => error);
  if (unwritten instanceof Error)
    return fail(`the ready file ${flags.readyFile} cannot be written: ${codeOf(unwritten)}`);
}

/** The one group of a fleet without rules. */
const EVERYBODY = "fleet";
/** In milliseconds, of a client that does not answer, or until the next change: it goes on catching up after that. */
const WAIT_FOR_FLEET_MS = 1000;

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
    if (flags.readyFile !== undefined) removeReadyFile(flags.readyFile);
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

function placeText(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
