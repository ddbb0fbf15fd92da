import { registerGatewayMetrics } from "../admin/gateway-metrics.ts";
import { type AdminServer, createAdminServer } from "../admin/server.ts";
import type { ExpiryWarnings } from "../credentials/expiry.ts";
import type { CompileOptions } from "../compile/compilation.ts";
import { AnchorLedger } from "../credentials/anchor-ledger.ts";
import type { Control } from "../control/control.ts";
import type { IncompleteStart } from "../control/incomplete-start.ts";
import { createHandshakeLines } from "../control/handshake-lines.ts";
import { createDnsEndpoints, type DnsContext } from "../endpoints/dns.ts";
import { createNodeEngine } from "../engines/node/engine.ts";
import type { Limits } from "../engines/node/limits.ts";
import type { FileSource } from "../sources/files/files.ts";
import { createAccessLogWriter } from "../telemetry/access-log-writer.ts";
import { systemClock } from "../telemetry/clock.ts";
import { standardOutput } from "../telemetry/log-sink.ts";
import type { Logger } from "../telemetry/logger.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { registerAccessLogMetrics, registerAnchorMetrics, registerEngineMetrics } from "./engine-metrics.ts";
import { wirePlane } from "./plane.ts";

export interface GatewayOptions {
  readonly paths: readonly string[];
  readonly ambassadorId: string;
  /** Folder that stands for the Secret `istio-certs`. */
  readonly istioCerts?: string | undefined;
  readonly expiryWarnings?: ExpiryWarnings | undefined;
  readonly compile: CompileOptions;
  readonly limits: Partial<Limits>;
  readonly accessLog: boolean;
  readonly incompleteStart: IncompleteStart;
  readonly admin: { readonly address: string; readonly port: number };
  readonly logger: Logger;
  /** Default: the system's resolver. */
  readonly lookup?: DnsContext["lookup"];
}

export interface Gateway {
  readonly control: Control;
  readonly admin: AdminServer;
  readonly source: FileSource;
  /** Once a revision is published: resolves when requests are answered by it, rejects with the reason why they are not. */
  serving(): Promise<void>;
  /** Nothing new is published or accepted; what is in flight may end, for so long; then all is closed. */
  shutDown(drainMilliseconds: number): Promise<void>;
  /** Hands on what the access log still holds. */
  flush(): Promise<void>;
}

/** The parts of a gateway with the node engine, put together. Those with Envoy: envoy/wire.ts. */
export function wireGateway(options: GatewayOptions): Gateway {
  const { logger } = options;
  const clock = systemClock;
  const accessLog = options.accessLog ? createAccessLogWriter(standardOutput()) : undefined;
  const handshakeLines = accessLog && createHandshakeLines(accessLog.log);
  const anchors = new AnchorLedger(clock);
  const { lookup } = options;
  const dns = createDnsEndpoints({ clock, logger, ...(lookup === undefined ? {} : { lookup }) });
  const plane = wirePlane({
    ...options,
    clock,
    dns,
    handshakeLines,
    engine: ({ store, discovered, onFailure, onTryFailed, onHandshakeFailed }) =>
      createNodeEngine({
        credentials: store,
        endpoints: dns,
        discovered,
        logger,
        clock,
        accessLog: accessLog?.log,
        onFailure,
        onTryFailed,
        onHandshakeFailed,
        onVerified: anchors.saw,
        limits: options.limits,
      }),
  });
  const { control, engine, source, store } = plane;
  anchors.follow(store);
  const metrics = new Metrics();
  registerGatewayMetrics(metrics, [plane]);
  registerEngineMetrics(metrics, engine.stats);
  registerAnchorMetrics(metrics, anchors);
  registerAccessLogMetrics(metrics, accessLog, handshakeLines);
  const admin = createAdminServer({
    ...options.admin,
    planes: [{ ...plane, anchors }],
    metrics,
    clock,
    logger,
  });
  const flush = async (): Promise<void> => accessLog?.flush();
  return {
    control,
    admin,
    source,
    flush,
    // Its sockets are open when `apply` resolves.
    serving: async () => {},
    async shutDown(drainMilliseconds) {
      control.stop();
      await engine.drain(drainMilliseconds);
      await engine.stop();
      await admin.close();
      plane.close();
      await flush();
    },
  };
}
