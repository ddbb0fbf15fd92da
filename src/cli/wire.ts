import { AdminServer } from "../admin/server.ts";
import type { CompileOptions } from "../compile/compilation.ts";
import { Control } from "../control/control.ts";
import { FailureHistory } from "../control/failures.ts";
import { CredentialStore } from "../credentials/store.ts";
import { createDnsEndpoints } from "../endpoints/dns.ts";
import { createNodeEngine, type NodeEngine } from "../engines/node/engine.ts";
import type { Limits } from "../engines/node/limits.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import { certificateFiles } from "../resources/tls-context.ts";
import { CertificateFiles } from "../sources/files/certificate-files.ts";
import { createFileSource, type FileSource } from "../sources/files/files.ts";
import { createAccessLogWriter } from "../telemetry/access-log-writer.ts";
import { systemClock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { registerMetrics } from "./register-metrics.ts";

export interface GatewayOptions {
  readonly paths: readonly string[];
  readonly ambassadorId: string;
  readonly compile: CompileOptions;
  readonly limits: Partial<Limits>;
  readonly accessLog: boolean;
  readonly allowPartial: boolean;
  readonly logger: Logger;
}

export interface Gateway {
  readonly control: Control;
  readonly engine: NodeEngine;
  readonly admin: AdminServer;
  readonly source: FileSource;
  draining: boolean;
  /** Writes what the access log still holds, and lets go of timers. */
  close(): Promise<void>;
}

/** The one place where the parts are put together. */
export function wireGateway(options: GatewayOptions): Gateway {
  const { logger } = options;
  const store = new CredentialStore(systemClock, logger);
  const failures = new FailureHistory();
  const access = options.accessLog ? createAccessLogWriter(1) : undefined;
  const engine = createNodeEngine({
    credentials: store,
    endpoints: createDnsEndpoints({ clock: systemClock, logger }),
    logger,
    clock: systemClock,
    accessLog: access?.log,
    onFailure: (record) => {
      failures.add(record);
      const { id, reason, route, upstream } = record;
      // A client that goes away is its own affair; anything else is somebody's to look at.
      const level = reason === "client_disconnected" ? "debug" : "warn";
      logger[level]({ failure: id, reason, route, upstream }, record.cause);
    },
    limits: options.limits,
  });
  const source = createFileSource({
    paths: options.paths,
    credentials: store,
    ambassadorId: options.ambassadorId,
    logger,
  });
  const files = new CertificateFiles(store);
  const control = new Control({
    source,
    store,
    engine,
    compileOptions: options.compile,
    onResources: (resources) => files.follow(filesToFollow(resources)),
    allowPartial: options.allowPartial,
    logger,
  });
  const metrics = new Metrics();
  registerMetrics(metrics, engine.stats, store, () => control.state.revision?.number ?? 0);
  const gateway: Gateway = {
    control,
    engine,
    source,
    draining: false,
    admin: new AdminServer({
      state: () => control.state,
      credentials: () => store.all(),
      failures,
      metrics,
      engineName: engine.name,
      draining: () => gateway.draining,
      logger,
    }),
    async close() {
      control.stop();
      files.stop();
      store.close();
      access?.flush();
    },
  };
  return gateway;
}

/** The certificate files that TLSContexts name, with the place that names them. */
export function filesToFollow(resources: ResourceSet): Parameters<CertificateFiles["follow"]>[0] {
  return resources.tlsContexts.flatMap((context) => {
    const files = certificateFiles(context);
    const field = files?.certificateChain === undefined ? "cacert_chain_file" : "cert_chain_file";
    return files === null
      ? []
      : [{ ...files, origin: { subject: subjectOf(context), source: positionOf(context, field) } }];
  });
}
