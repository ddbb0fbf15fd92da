import type { CompileOptions } from "../compile/compilation.ts";
import { Control, type ResourceSource } from "../control/control.ts";
import type { IncompleteStart } from "../control/incomplete-start.ts";
import { createFailureLog } from "../control/failure-log.ts";
import { FailureHistory } from "../control/failures.ts";
import type { HandshakeLines } from "../control/handshake-lines.ts";
import { Handshakes } from "../control/handshakes.ts";
import type { ExpiryWarnings } from "../credentials/expiry.ts";
import { CredentialStore } from "../credentials/store.ts";
import { type DiscoveredEndpoints, joinedEndpoints } from "../endpoints/discovered.ts";
import { createDnsEndpoints } from "../endpoints/dns.ts";
import type { EndpointReader } from "../endpoints/endpoint.ts";
import type { NameWatch } from "../endpoints/name-watch.ts";
import { EndpointStore } from "../endpoints/store.ts";
import type { Engine, FailureSink, HandshakeSink, TrySink } from "../engines/engine.ts";
import { hostContext } from "../resources/host.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import { certificateFiles } from "../resources/tls-context.ts";
import { moduleContexts } from "../resources/tls-module.ts";
import { type CertificateFileSet, CertificateFiles } from "../sources/files/certificate-files.ts";
import { createFileSource, type FileSource } from "../sources/files/files.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { wireEndpoints } from "./endpoint-sources.ts";
import { boundedResources, boundedSecrets, type GroupBounds, guardsElsewhere } from "./group-bounds.ts";
import { foldersOf, istioCertificateFiles, ofGateway, withoutIstioSecret } from "./istio-certs.ts";
import { wireMesh } from "./mesh.ts";

export interface PlaneOptions<E extends Engine> {
  readonly paths: readonly string[];
  readonly ambassadorId: string;
  /** Absent: it may have everything. */
  readonly groupBounds?: GroupBounds | undefined;
  /** Folder that stands for the Secret `istio-certs` of the gateway's namespace. */
  readonly istioCerts?: string | undefined;
  readonly expiryWarnings?: ExpiryWarnings | undefined;
  readonly compile: CompileOptions;
  readonly incompleteStart: IncompleteStart;
  /** Default: the system's resolver. */
  readonly dns?: EndpointReader;
  /** False: nobody is to be reached. */
  readonly asksForEndpoints?: boolean;
  /** Told which names the engine has to be told the addresses of; absent: it asks DNS itself. */
  readonly names?: NameWatch | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Takes lines for the access log; absent: none is written. */
  readonly handshakeLines?: HandshakeLines | undefined;
  /** The revision that serves at a time; absent: the newest. */
  readonly revisionAt?: ((time: number) => number | null) | undefined;
  readonly engine: (parts: EngineParts) => E;
}

export interface EngineParts {
  readonly store: CredentialStore;
  /** Addresses of clusters with a resolver, and of names where the engine is told them. */
  readonly discovered: DiscoveredEndpoints;
  readonly onFailure: FailureSink;
  readonly onTryFailed: TrySink;
  readonly onHandshakeFailed: HandshakeSink;
}

/** An engine, and whatever feeds it: resources, credentials, the loop. Planes of one process have nothing in common. */
export interface Plane<E extends Engine = Engine> {
  readonly engine: E;
  readonly control: Control;
  readonly store: CredentialStore;
  readonly failures: FailureHistory;
  readonly handshakes: Handshakes;
  readonly source: FileSource;
  /** Nothing is read or published any more. The engine is left as it is. */
  close(): void;
}

/** The parts of a plane, put together. Nothing is read before its `control` reloads. */
export function wirePlane<E extends Engine>(options: PlaneOptions<E>): Plane<E> {
  const { logger, clock, groupBounds: bounds = {}, dns = createDnsEndpoints({ clock, logger }) } = options;
  const istioCerts = ofGateway(bounds, options.istioCerts);
  const store = new CredentialStore(clock, logger, options.expiryWarnings);
  const failures = new FailureHistory();
  const handshakes = new Handshakes();
  const logFailure = createFailureLog(logger, clock);
  const discovered = new EndpointStore();
  const engine = options.engine({
    store,
    discovered: options.names === undefined ? discovered : joinedEndpoints(discovered, options.names),
    onFailure(record) {
      failures.add(record);
      handshakes.addFailure(record);
      logFailure(record);
    },
    onTryFailed: (reason) => handshakes.addTry(reason),
    onHandshakeFailed(record) {
      handshakes.add(record);
      const { handshakeLines, revisionAt } = options;
      handshakeLines?.write(record, revisionAt?.(Date.parse(record.time)) ?? control.revision);
    },
  });
  const files = new CertificateFiles(store, foldersOf(bounds, istioCerts));
  const mesh = wireMesh({ store, clock, logger, bounds });
  const endpoints =
    options.asksForEndpoints === false
      ? undefined
      : wireEndpoints(discovered, dns, clock, bounds, options.names);
  const source = createFileSource({
    paths: options.paths,
    credentials: withoutIstioSecret(istioCerts, boundedSecrets(bounds, store)),
    ambassadorId: options.ambassadorId,
    logger,
  });
  const control = new Control({
    source: resourcesOf(bounds, source, logger),
    store,
    engine,
    compileOptions: options.compile,
    ...(endpoints === undefined ? {} : { endpoints }),
    onServing() {
      endpoints?.settle();
      mesh.settle();
    },
    async onResources(resources) {
      endpoints?.onResources(resources);
      // Issuers may be slow, and files that are named no more are withdrawn at once: what serves still names them.
      await mesh.follow(resources);
      await files.follow(filesToFollow(resources, istioCerts));
    },
    incompleteStart: options.incompleteStart,
    logger,
  });
  return {
    engine,
    control,
    store,
    failures,
    handshakes,
    source,
    close() {
      files.stop();
      mesh.stop();
      endpoints?.stop();
      store.close();
    },
  };
}

function resourcesOf(bounds: GroupBounds, source: FileSource, logger: Logger): ResourceSource {
  let said = "";
  return {
    async load(how) {
      const loaded = await source.load(how);
      const elsewhere = guardsElsewhere(loaded.resources, bounds);
      if (elsewhere.length > 0 && elsewhere.join() !== said)
        logger.warn(
          { objects: elsewhere },
          "access control of other namespaces does not hold for this group",
        );
      said = elsewhere.join();
      return boundedResources(bounds, loaded);
    },
  };
}

/** The certificate files that TLSContexts, Hosts and old Modules name, with the places that name them, and Istio's. */
export function filesToFollow(resources: ResourceSet, istioCerts: string | undefined): CertificateFileSet[] {
  const modules = [...resources.modules.flatMap(({ tls }) => tls ?? []), ...resources.tlsModules];
  const contexts = [
    ...resources.tlsContexts,
    ...resources.hosts.flatMap((host) => hostContext(host) ?? []),
    ...moduleContexts(modules).contexts,
  ];
  const named = contexts.flatMap((context): CertificateFileSet[] => {
    const files = certificateFiles(context);
    if (files === null) return [];
    const field =
      files.certificateChain !== undefined
        ? "cert_chain_file"
        : files.trustAnchors !== undefined
          ? "cacert_chain_file"
          : files.crl !== undefined
            ? "verify"
            : "ocsp_staple_file";
    const places = {
      certificateChain: positionOf(context, "cert_chain_file"),
      privateKey: positionOf(context, "private_key_file"),
      trustAnchors: positionOf(context, "cacert_chain_file"),
      crl: positionOf(context, context.raw.fields.has("spec.verify.crl_file") ? "verify.crl_file" : "verify"),
      ocspStaple: positionOf(context, "ocsp_staple_file"),
    };
    const subject = context.writtenIn ?? subjectOf(context);
    const costs = context.terminates ? { costs: "host-refused" as const } : {};
    const whose = context.terminates ? { anchorsAreOfClients: true as const } : {};
    return [
      { ...files, ...whose, places, origin: { subject, source: positionOf(context, field), ...costs } },
    ];
  });
  return istioCerts === undefined ? named : [...named, istioCertificateFiles(istioCerts)];
}
