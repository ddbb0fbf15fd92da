import { registerGatewayMetrics } from "../admin/gateway-metrics.ts";
import { type AdminServer, createAdminServer } from "../admin/server.ts";
import type { CompileOptions } from "../compile/compilation.ts";
import { Control } from "../control/control.ts";
import { createFailureLog } from "../control/failure-log.ts";
import { FailureHistory } from "../control/failures.ts";
import { CredentialStore } from "../credentials/store.ts";
import { createDnsEndpoints, type DnsContext } from "../endpoints/dns.ts";
import { createNodeEngine } from "../engines/node/engine.ts";
import type { Limits } from "../engines/node/limits.ts";
import { hostContext } from "../resources/host.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import { certificateFiles } from "../resources/tls-context.ts";
import { moduleContexts } from "../resources/tls-module.ts";
import { CertificateFiles, type CertificateFileSet } from "../sources/files/certificate-files.ts";
import { createFileSource, type FileSource } from "../sources/files/files.ts";
import { createAccessLogWriter } from "../telemetry/access-log-writer.ts";
import { systemClock } from "../telemetry/clock.ts";
import { standardOutput } from "../telemetry/log-sink.ts";
import type { Logger } from "../telemetry/logger.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { registerEngineMetrics } from "./engine-metrics.ts";

export interface GatewayOptions {
  readonly paths: readonly string[];
  readonly ambassadorId: string;
  readonly compile: CompileOptions;
  readonly limits: Partial<Limits>;
  readonly accessLog: boolean;
  readonly allowPartial: boolean;
  readonly admin: { readonly address: string; readonly port: number };
  readonly logger: Logger;
  /** Default: the system's resolver. */
  readonly lookup?: DnsContext["lookup"];
}

export interface Gateway {
  readonly control: Control;
  readonly admin: AdminServer;
  readonly source: FileSource;
  /** Nothing new is published or accepted; what is in flight may end, for so long; then all is closed. */
  shutDown(drainMilliseconds: number): Promise<void>;
  /** Hands on what the access log still holds. */
  flush(): Promise<void>;
}

/** The one place where the parts are put together. */
export function wireGateway(options: GatewayOptions): Gateway {
  const { logger } = options;
  const clock = systemClock;
  const store = new CredentialStore(clock, logger);
  const failures = new FailureHistory();
  const logFailure = createFailureLog(logger, clock);
  const accessLog = options.accessLog ? createAccessLogWriter(standardOutput()) : undefined;
  const engine = createNodeEngine({
    credentials: store,
    endpoints: createDnsEndpoints({
      clock,
      logger,
      ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
    }),
    logger,
    clock,
    accessLog: accessLog?.log,
    onFailure(record) {
      failures.add(record);
      logFailure(record);
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
  registerGatewayMetrics(metrics, control, store);
  registerEngineMetrics(metrics, engine.stats);
  metrics.counter(
    "credence_access_log_dropped_total",
    "Access log lines that their reader was too slow for.",
    () => [{ labels: {}, value: accessLog?.dropped ?? 0 }],
  );
  const admin = createAdminServer({
    ...options.admin,
    control,
    store,
    failures,
    engine,
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
    async shutDown(drainMilliseconds) {
      control.stop();
      await engine.drain(drainMilliseconds);
      await engine.stop();
      await admin.close();
      files.stop();
      store.close();
      await flush();
    },
  };
}

/** The certificate files that TLSContexts, Hosts and old Modules name, with the places that name them. */
export function filesToFollow(resources: ResourceSet): CertificateFileSet[] {
  const modules = [...resources.modules.flatMap(({ tls }) => tls ?? []), ...resources.tlsModules];
  const contexts = [
    ...resources.tlsContexts,
    ...resources.hosts.flatMap((host) => hostContext(host) ?? []),
    ...moduleContexts(modules).contexts,
  ];
  return contexts.flatMap((context) => {
    const files = certificateFiles(context);
    if (files === null) return [];
    const field = files.certificateChain === undefined ? "cacert_chain_file" : "cert_chain_file";
    const places = {
      certificateChain: positionOf(context, "cert_chain_file"),
      privateKey: positionOf(context, "private_key_file"),
      trustAnchors: positionOf(context, "cacert_chain_file"),
    };
    const subject = context.writtenIn ?? subjectOf(context);
    return [{ ...files, places, origin: { subject, source: positionOf(context, field) } }];
  });
}
