import type { TestContext } from "node:test";
import type { Authorize } from "../../src/engines/envoy/ads/client.ts";
import { type AdsServer, createAdsServer } from "../../src/engines/envoy/ads/server.ts";
import { createRunDirectory } from "../../src/engines/envoy/process/run-directory.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

export interface AdsSocket {
  readonly ads: AdsServer;
  readonly path: string;
  /** Ended before the server is. */
  readonly clients: { close(): Promise<void> }[];
}

/** An ADS server on a Unix socket, until the test ends. By default whoever connects is of the group `all`. */
export async function startAdsSocket(
  t: TestContext,
  options: { readonly authorize?: Authorize; readonly orderLimitMs?: number } = {},
): Promise<AdsSocket> {
  const directory = createRunDirectory();
  const ads = createAdsServer({
    clock: systemClock,
    logger: createLogger("silent"),
    authorize: () => ({ group: "all", identity: "test" }),
    ...options,
  });
  await ads.listen({ path: directory.xdsSocket });
  const clients: AdsSocket["clients"] = [];
  t.after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await ads.close();
    directory.remove();
  });
  return { ads, path: directory.xdsSocket, clients };
}
