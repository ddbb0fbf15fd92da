import { createAdminServer } from "../../src/admin/server.ts";
import { registerGatewayMetrics } from "../../src/admin/gateway-metrics.ts";
import { wirePlane } from "../../src/cli/plane.ts";
import type { Gateway, GatewayOptions } from "../../src/cli/wire.ts";
import { createAdsServer } from "../../src/engines/envoy/ads/server.ts";
import { createEnvoyEngine } from "../../src/engines/envoy/engine.ts";
import { bootstrapOf, OWN_CLUSTER } from "../../src/engines/envoy/process/bootstrap.ts";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { createRunDirectory } from "../../src/engines/envoy/process/run-directory.ts";
import { EnvoySupervisor } from "../../src/engines/envoy/process/supervisor.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { Metrics } from "../../src/telemetry/metrics.ts";

export async function wireEnvoyForTests(
  options: GatewayOptions & { dnsResolvers: readonly string[] },
): Promise<Gateway> {
  const clock = systemClock;
  const logger = process.env.DEBUG_ENVOY ? createLogger("debug") : options.logger;
  const directory = createRunDirectory();
  const ads = createAdsServer({ clock, logger, authorize: () => ({ group: "local", identity: "local" }) });
  await ads.listen({ path: directory.xdsSocket });
  const { path } = await findEnvoy({ environment: process.env });
  const supervisor = new EnvoySupervisor({
    path,
    bootstrap: bootstrapOf({
      nodeId: "test",
      nodeCluster: "credence",
      xds: { socket: directory.xdsSocket },
      admin: { socket: directory.adminSocket },
      dnsResolvers: options.dnsResolvers,
    }),
    directory,
    concurrency: 1,
    standardOutput: false,
    logger,
    clock,
  });
  const plane = wirePlane({
    ...options,
    clock,
    engine: ({ store }) =>
      createEnvoyEngine({
        ads,
        group: "local",
        credentials: store,
        logger,
        clock,
        ownCluster: OWN_CLUSTER,
        proxies: supervisor,
      }),
  });
  supervisor.start();
  await new Promise<void>((resolve) => {
    const end = ads.onChange(() => {
      if (ads.clients.length === 0) return;
      end();
      resolve();
    });
  });
  const metrics = new Metrics();
  registerGatewayMetrics(metrics, [plane]);
  const admin = createAdminServer({ ...options.admin, planes: [plane], metrics, clock, logger });
  return {
    control: plane.control,
    admin,
    source: plane.source,
    serving: async () => {
      await supervisor.live(10_000);
    },
    flush: async () => {},
    async shutDown(milliseconds) {
      plane.control.stop();
      await plane.engine.drain(milliseconds);
      await plane.engine.stop();
      await admin.close();
      await ads.close();
      plane.close();
      directory.remove();
    },
  };
}
