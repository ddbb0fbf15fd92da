import { registerGatewayMetrics } from "../../admin/gateway-metrics.ts";
import { createAdminServer } from "../../admin/server.ts";
import { createHandshakeLines } from "../../control/handshake-lines.ts";
import type { Authorize } from "../../engines/envoy/ads/client.ts";
import { createDnsEndpoints } from "../../endpoints/dns.ts";
import { createNameServers } from "../../endpoints/name-servers.ts";
import { NameWatch } from "../../endpoints/name-watch.ts";
import { createAdsServer } from "../../engines/envoy/ads/server.ts";
import type { ListenerBounds } from "../../engines/envoy/bounds.ts";
import { createEnvoyEngine } from "../../engines/envoy/engine.ts";
import { failureStream } from "../../engines/envoy/failure-stream.ts";
import { accessLines } from "../../engines/envoy/process/access-lines.ts";
import { bootstrapOf, OWN_CLUSTER } from "../../engines/envoy/process/bootstrap.ts";
import type { Patience } from "../../engines/envoy/process/pulse.ts";
import { RevisionHistory } from "../../engines/envoy/process/revision-history.ts";
import { createRunDirectory } from "../../engines/envoy/process/run-directory.ts";
import { EnvoySupervisor } from "../../engines/envoy/process/supervisor.ts";
import { createAccessLogWriter } from "../../telemetry/access-log-writer.ts";
import { systemClock } from "../../telemetry/clock.ts";
import { standardOutput } from "../../telemetry/log-sink.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { registerAccessLogMetrics, registerFailureMetrics } from "../engine-metrics.ts";
import { wirePlane } from "../plane.ts";
import type { Gateway, GatewayOptions } from "../wire.ts";
import { FailureCounts } from "./failure-counts.ts";
import { registerFleetMetrics, registerProcessMetrics } from "./metrics.ts";
import { reportedProxies } from "./reported-proxies.ts";

export interface EnvoyGatewayOptions extends Omit<GatewayOptions, "limits" | "lookup"> {
  /** Of the Envoy to run. */
  readonly envoy: string;
  /** How long connections have that are not to go on. */
  readonly drainSeconds: number;
  /** Worker threads; absent: as many as the machine has. */
  readonly concurrency?: number | undefined;
  /** How long Envoy may not answer. */
  readonly patience?: Patience | undefined;
  /** Whom Envoy asks for addresses, `ADDRESS:PORT`; none: the system's. */
  readonly dnsResolvers: readonly string[];
  /** Client connections at once. */
  readonly maxConnections: number;
  /** Absent: the defaults. */
  readonly bounds?: ListenerBounds;
}

/** The parts of a gateway with one Envoy of its own, put together. Envoy runs when this resolves, and waits for its first revision. */
export async function wireEnvoyGateway(options: EnvoyGatewayOptions): Promise<Gateway> {
  const { logger } = options;
  const clock = systemClock;
  const directory = createRunDirectory();
  // Also where the process ends at once.
  process.once("exit", directory.remove);
  // Who may open the socket is this user, who may read the keys anyhow.
  const failed = new FailureCounts();
  const authorize: Authorize = () => ({ group: GROUP, identity: "own process" });
  const ads = createAdsServer({
    clock,
    logger,
    authorize,
    services: [failureStream(authorize, () => failed)],
  });
  await ads.listen({ path: directory.xdsSocket });
  const accessLog = options.accessLog ? createAccessLogWriter(standardOutput()) : undefined;
  const handshakeLines = accessLog && createHandshakeLines(accessLog.log);
  const revisions = new RevisionHistory();
  const supervisor = new EnvoySupervisor({
    path: options.envoy,
    bootstrap: bootstrapOf({
      nodeId: GROUP,
      nodeCluster: "credence",
      xds: { socket: directory.xdsSocket },
      admin: { socket: directory.adminSocket },
      dnsResolvers: options.dnsResolvers,
      maxConnections: options.maxConnections,
    }),
    directory,
    drainSeconds: options.drainSeconds,
    concurrency: options.concurrency,
    patience: options.patience,
    output: accessLog === undefined ? undefined : accessLines(accessLog, revisions.at),
    logger,
    clock,
  });
  // Envoy's clusters are made anew with each rotation: what each asked itself, a silent DNS server would take its addresses.
  const servers = createNameServers({ servers: options.dnsResolvers, now: () => clock.now() });
  const names = new NameWatch({ clock, logger, lookup: servers.lookup });
  const dns = createDnsEndpoints({ clock, logger, lookup: (host) => servers.lookup(host, undefined) });
  const plane = wirePlane({
    ...options,
    clock,
    handshakeLines,
    revisionAt: revisions.at,
    names,
    dns,
    engine: ({ store, discovered, onFailure, onHandshakeFailed }) => {
      failed.onFailure = onFailure;
      failed.onHandshakeFailed = onHandshakeFailed;
      return createEnvoyEngine({
        ads,
        group: GROUP,
        credentials: store,
        discovered,
        knowsNames: true,
        logger,
        clock,
        ownCluster: OWN_CLUSTER,
        accessLog: options.accessLog,
        proxies: supervisor,
        ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
      });
    },
  });
  const { control, engine, source } = plane;
  ads.onChange(() => {
    const revision = engine.fleet[0]?.revision ?? null;
    if (revision !== null) revisions.note(Number(revision), clock.now());
  });
  const metrics = new Metrics();
  registerGatewayMetrics(metrics, [plane]);
  registerFleetMetrics(metrics, [plane]);
  registerProcessMetrics(metrics, supervisor);
  registerAccessLogMetrics(metrics, accessLog, handshakeLines);
  registerFailureMetrics(metrics, [{ counts: failed.byReason }]);
  const proxies = () => reportedProxies(engine.fleet, supervisor);
  const admin = createAdminServer({
    ...options.admin,
    planes: [{ ...plane, proxies }],
    metrics,
    clock,
    logger,
  });
  const flush = async (): Promise<void> => accessLog?.flush();
  supervisor.start();
  return {
    control,
    admin,
    source,
    flush,
    async serving() {
      if (await supervisor.live(LONGEST_START_MS)) return;
      const { lastEnd } = supervisor.state;
      throw new Error(
        lastEnd === null
          ? `Envoy has not taken its first configuration within ${LONGEST_START_MS / 1000} s; its log says why`
          : `Envoy does not stay up, it ended by ${lastEnd}; its log says why`,
      );
    },
    async shutDown(drainMilliseconds) {
      control.stop();
      await engine.drain(drainMilliseconds);
      await engine.stop();
      await admin.close();
      plane.close();
      servers.stop();
      await ads.close();
      await flush();
      directory.remove();
      process.off("exit", directory.remove);
    },
  };
}

/** There is one Envoy, and one group. */
const GROUP = "gateway";
const LONGEST_START_MS = 30_000;
