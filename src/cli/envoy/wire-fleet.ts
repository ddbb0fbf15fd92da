import { registerGatewayMetrics } from "../../admin/gateway-metrics.ts";
import { type AdminServer, createAdminServer } from "../../admin/server.ts";
import { createNameServers } from "../../endpoints/name-servers.ts";
import { NameWatch } from "../../endpoints/name-watch.ts";
import { type AdsServer, createAdsServer } from "../../engines/envoy/ads/server.ts";
import { createEnvoyEngine, type EnvoyEngine } from "../../engines/envoy/engine.ts";
import { failureStream } from "../../engines/envoy/failure-stream.ts";
import { authorizeEverybody, authorizeFleet } from "../../engines/envoy/fleet/authorize.ts";
import type { FleetGroup } from "../../engines/envoy/fleet/groups.ts";
import { OWN_CLUSTER } from "../../engines/envoy/process/bootstrap.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { registerFailureMetrics } from "../engine-metrics.ts";
import { boundsOf } from "../group-bounds.ts";
import { type Plane, type PlaneOptions, wirePlane } from "../plane.ts";
import { FailureCounts } from "./failure-counts.ts";
import { registerFleetMetrics, registerRefusalMetrics } from "./metrics.ts";
import { reportedProxies } from "./reported-proxies.ts";

export interface FleetOptions
  extends Pick<
    PlaneOptions<EnvoyEngine>,
    "paths" | "istioCerts" | "expiryWarnings" | "compile" | "incompleteStart"
  > {
  /** null: there are no rules, and one group has everything. */
  readonly groups: readonly FleetGroup[] | null;
  /** Of groups that have none of their own. */
  readonly ambassadorId: string;
  /** A line for each request on the Envoys' standard output. */
  readonly accessLog: boolean;
  readonly admin: { readonly address: string; readonly port: number };
  readonly logger: Logger;
  readonly clock: Clock;
}

type FleetPlane = Plane<EnvoyEngine> & { readonly group?: string };

/** A control plane's parts; nothing listens yet, and nothing has been read. */
export interface Fleet {
  readonly ads: AdsServer;
  /** One for each group. */
  readonly planes: readonly FleetPlane[];
  readonly admin: AdminServer;
}

/** The parts of a control plane for Envoys that others run, put together: a plane for each group, behind one xDS server. */
export function wireFleet(options: FleetOptions): Fleet {
  const { groups, clock, logger } = options;
  const authorize = groups === null ? authorizeEverybody(EVERYBODY) : authorizeFleet(groups);
  const failed = new Map((groups ?? [{ name: EVERYBODY }]).map(({ name }) => [name, new FailureCounts()]));
  const ads = createAdsServer({
    clock,
    logger,
    authorize,
    services: [failureStream(authorize, (group) => failed.get(group))],
  });
  const servers = createNameServers({ servers: [], now: () => clock.now() });
  const planes = (groups ?? [null]).map((group): FleetPlane => {
    const named = group === null ? logger : logger.child({ group: group.name });
    const names =
      group?.resolvesNames === true
        ? new NameWatch({ clock, logger: named, lookup: servers.lookup })
        : undefined;
    const plane = wirePlane({
      ...options,
      ambassadorId: group?.ambassadorId ?? options.ambassadorId,
      groupBounds: boundsOf(group),
      names,
      logger: named,
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
          accessLog: options.accessLog,
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
    ...options.admin,
    planes: planes.map((plane) => ({ ...plane, proxies: () => reportedProxies(plane.engine.fleet) })),
    metrics,
    clock,
    logger,
  });
  return { ads, planes, admin };
}

/** The one group of a fleet without rules. */
const EVERYBODY = "fleet";
/** In milliseconds, of a client that does not answer, or until the next change: it goes on catching up after that. */
const WAIT_FOR_FLEET_MS = 1000;
