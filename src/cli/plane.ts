import { Control, type ResourceSource } from "../control/control.ts";
import { createFailureLog } from "../control/failure-log.ts";
import { FailureHistory } from "../control/failures.ts";
import { Handshakes } from "../control/handshakes.ts";
import type { CompileOptions } from "../compile/compilation.ts";
import { CredentialStore } from "../credentials/store.ts";
import type { Engine, FailureSink, HandshakeSink } from "../engines/engine.ts";
import { hostContext } from "../resources/host.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import { certificateFiles } from "../resources/tls-context.ts";
import { moduleContexts } from "../resources/tls-module.ts";
import { gatewayNamespace, istioCertificateFiles, withoutIstioSecret } from "./istio-certs.ts";
import { wireMesh } from "./mesh.ts";
import { CertificateFiles, type CertificateFileSet } from "../sources/files/certificate-files.ts";
import { createFileSource, type FileSource } from "../sources/files/files.ts";
import type { CredentialSink } from "../sources/files/secret-offers.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface PlaneOptions<E extends Engine> {
  readonly paths: readonly string[];
  readonly ambassadorId: string;
  /** Of these namespaces alone, their Secrets included; absent: of all. */
  readonly namespaces?: ReadonlySet<string> | undefined;
  /** Folder that stands for the Secret `istio-certs` of the gateway's namespace. */
  readonly istioCerts?: string | undefined;
  readonly compile: CompileOptions;
  readonly allowPartial: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly engine: (parts: EngineParts) => E;
}

export interface EngineParts {
  readonly store: CredentialStore;
  readonly onFailure: FailureSink;
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

export function wirePlane<E extends Engine>(options: PlaneOptions<E>): Plane<E> {
  const { logger, clock, namespaces } = options;
  // It is the gateway's own: a group has it where it has that namespace.
  const istioCerts = namespaces?.has(gatewayNamespace()) === false ? undefined : options.istioCerts;
  const store = new CredentialStore(clock, logger);
  const failures = new FailureHistory();
  const handshakes = new Handshakes();
  const logFailure = createFailureLog(logger, clock);
  const engine = options.engine({
    store,
    onFailure(record) {
      failures.add(record);
      handshakes.addFailure(record);
      logFailure(record);
    },
    onHandshakeFailed: (record) => handshakes.add(record),
  });
  const files = new CertificateFiles(store);
  const mesh = wireMesh({ store, clock, logger });
  const source = createFileSource({
    paths: options.paths,
    credentials: withoutIstioSecret(
      istioCerts,
      namespaces === undefined ? store : secretsOf(namespaces, store),
    ),
    ambassadorId: options.ambassadorId,
    logger,
  });
  const control = new Control({
    source: namespaces === undefined ? source : resourcesOf(namespaces, source, logger),
    store,
    engine,
    compileOptions: options.compile,
    async onResources(resources) {
      await Promise.all([files.follow(filesToFollow(resources, istioCerts)), mesh.follow(resources)]);
    },
    allowPartial: options.allowPartial,
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
      store.close();
    },
  };
}

/** Secrets of other namespaces never reach the store: whatever a resource names, it cannot be had here. */
function secretsOf(namespaces: ReadonlySet<string>, store: CredentialStore): CredentialSink {
  const isOurs = (name: string): boolean => namespaces.has(name.split("/")[1] ?? "");
  return {
    offer: (name, material, origin) => isOurs(name) && store.offer(name, material, origin),
    remove: (name) => isOurs(name) && store.remove(name),
  };
}

function resourcesOf(namespaces: ReadonlySet<string>, source: FileSource, logger: Logger): ResourceSource {
  let said = "";
  return {
    async load() {
      const { resources, diagnostics, complete } = await source.load();
      const elsewhere = guardsElsewhere(resources, namespaces);
      if (elsewhere.length > 0 && elsewhere.join() !== said)
        logger.warn(
          { objects: elsewhere },
          "access control of other namespaces does not hold for this group",
        );
      said = elsewhere.join();
      const lists = Object.entries(resources).map(([kind, list]) => [
        kind,
        (list as ResourceSet[keyof ResourceSet]).filter((object: { namespace: string }) =>
          namespaces.has(object.namespace),
        ),
      ]);
      return {
        resources: Object.fromEntries(lists) as ResourceSet,
        // What is wrong with a file as such concerns everybody who reads it.
        diagnostics: diagnostics.filter(
          ({ subject }) => subject.kind === "File" || namespaces.has(subject.namespace),
        ),
        complete,
      };
    },
  };
}

/** Who reads the rules of a fleet may think that these guard every group. */
function guardsElsewhere({ authServices, guards }: ResourceSet, namespaces: ReadonlySet<string>): string[] {
  return [...authServices, ...guards]
    .filter(({ namespace }) => !namespaces.has(namespace))
    .map(({ kind, namespace, name }) => `${kind} ${name} in ${namespace}`);
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
    const field = files.certificateChain === undefined ? "cacert_chain_file" : "cert_chain_file";
    const places = {
      certificateChain: positionOf(context, "cert_chain_file"),
      privateKey: positionOf(context, "private_key_file"),
      trustAnchors: positionOf(context, "cacert_chain_file"),
    };
    const subject = context.writtenIn ?? subjectOf(context);
    return [{ ...files, places, origin: { subject, source: positionOf(context, field) } }];
  });
  return istioCerts === undefined ? named : [...named, istioCertificateFiles(istioCerts)];
}
