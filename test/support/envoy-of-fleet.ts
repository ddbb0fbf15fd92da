import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { wirePlane } from "../../src/cli/plane.ts";
import type { Control } from "../../src/control/control.ts";
import { createAdsServer } from "../../src/engines/envoy/ads/server.ts";
import { createEnvoyEngine, type EnvoyEngine } from "../../src/engines/envoy/engine.ts";
import { bootstrapOf } from "../../src/engines/envoy/process/bootstrap.ts";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";
import { createRunDirectory } from "../../src/engines/envoy/process/run-directory.ts";
import { EnvoySupervisor } from "../../src/engines/envoy/process/supervisor.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

export interface FleetGateway {
  readonly control: Control;
  readonly engine: EnvoyEngine;
  /** Lines of warnings and worse. */
  readonly log: readonly string[];
}

/** A control plane for Envoys that ask DNS themselves, as those of a fleet do, and one of them, which asks that name server. */
export async function startFleetOfOne(
  t: TestContext,
  yaml: string,
  dns: { readonly address: string; readonly port: number },
): Promise<FleetGateway> {
  const directory = createRunDirectory();
  const folder = mkdtempSync(join(tmpdir(), "credence-test-"));
  writeFileSync(join(folder, "all.yaml"), yaml);
  const log: string[] = [];
  const [clock, logger] = [systemClock, createLogger("warn", { write: (line: string) => log.push(line) })];
  const ads = createAdsServer({ clock, logger, authorize: () => ({ group: "fleet", identity: "test" }) });
  await ads.listen({ path: directory.xdsSocket });
  const supervisor = new EnvoySupervisor({
    path: (await findEnvoy({ environment: process.env })).path,
    bootstrap: bootstrapOf({
      nodeId: "fleet",
      nodeCluster: "fleet",
      xds: { socket: directory.xdsSocket },
      admin: { socket: directory.adminSocket },
      dnsResolvers: [`${dns.address}:${dns.port}`],
    }),
    directory,
    concurrency: 1,
    drainSeconds: 1,
    patience: undefined,
    output: undefined,
    logger,
    clock,
  });
  const { control, engine, close } = wirePlane({
    paths: [folder],
    ambassadorId: "default",
    compile: {
      engine: "envoy",
      address: "127.0.0.1",
      httpPort: 0,
      httpsPort: 0,
    },
    incompleteStart: "not-ready",
    logger,
    clock,
    engine: ({ store, discovered }) =>
      createEnvoyEngine({
        ads,
        group: "fleet",
        credentials: store,
        discovered,
        logger,
        clock,
        proxies: supervisor,
      }),
  });
  supervisor.start();
  t.after(async () => {
    control.stop();
    await engine.drain(0);
    await engine.stop();
    close();
    await ads.close();
    directory.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  await control.reload();
  if (!(await supervisor.live(30_000))) throw new Error("Envoy does not take its first configuration");
  return { control, engine, log };
}
