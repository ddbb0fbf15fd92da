import type { Compilation, CompileOptions } from "../compile/compilation.ts";
import { compile } from "../compile/compile.ts";
import type { CredentialOrigin, CredentialStatuses } from "../credentials/credential.ts";
import type { ExpiryWarnings } from "../credentials/expiry.ts";
import { CredentialStore } from "../credentials/store.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { sortDiagnostics } from "../diagnostics/render.ts";
import type { EngineName } from "../model/capabilities.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import { isIssued, isOfConsul } from "../resources/tls-identity.ts";
import { CertificateFiles } from "../sources/files/certificate-files.ts";
import { createFileSource } from "../sources/files/files.ts";
import { systemClock } from "../telemetry/clock.ts";
import { createLogger } from "../telemetry/logger.ts";
import { boundedResources, boundedSecrets, type GroupBounds } from "./group-bounds.ts";
import { foldersOf, ofGateway, withoutIstioSecret } from "./istio-certs.ts";
import { filesToFollow } from "./plane.ts";
import { inputOf } from "./standard-input.ts";

/** The flags that decide how resources are read and compiled, as commander names them. */
export interface ResourceFlags {
  /** Whom it is compiled for; absent where a verb does not ask: the node engine. */
  readonly engine?: EngineName;
  readonly requireUpstreamVerification?: boolean;
  readonly allowUnenforced?: boolean;
  readonly ambassadorId: string;
  /** Folder that stands for the Secret `istio-certs`. */
  readonly istioCerts?: string;
  /** Before a certificate ends it is said. */
  readonly expiryWarnings?: ExpiryWarnings;
}

/** The flags of what listens for clients, as commander names them. */
export interface ListenerFlags {
  readonly address: string;
  readonly httpPort?: number;
  readonly httpsPort?: number;
}

/** Everything that `run` would know before it opens a socket. */
export interface LoadedGateway {
  readonly resources: ResourceSet;
  /** Holds key bytes: for what looks at certificates, never for what prints. */
  readonly store: CredentialStore;
  /** Which object or file each credential came from, by its name in the store. */
  readonly origins: ReadonlyMap<string, CredentialOrigin>;
  readonly compilation: Compilation;
  /** Of reading, of credentials and of compiling; sorted. */
  readonly diagnostics: readonly Diagnostic[];
  /** false: some file or document could not be read. */
  readonly complete: boolean;
}

/** Reads paths as `run` does, certificate files included, and standard input where it is among them, and compiles what is there. Follows nothing afterwards. */
export async function loadGateway(
  paths: readonly string[],
  flags: ResourceFlags,
  bounds: GroupBounds = {},
  ask: AskIssuers = async () => {},
): Promise<LoadedGateway> {
  const istioCerts = ofGateway(bounds, flags.istioCerts);
  const store = new CredentialStore(systemClock, undefined, flags.expiryWarnings);
  const origins = new Map<string, CredentialOrigin>();
  const sink = {
    offer(...[name, material, origin]: Parameters<CredentialStore["offer"]>): void {
      origins.set(name, origin);
      store.offer(name, material, origin);
    },
    remove: (name: string): void => store.remove(name),
  };
  const source = createFileSource({
    ...(await inputOf(paths)),
    credentials: withoutIstioSecret(istioCerts, boundedSecrets(bounds, sink)),
    ambassadorId: flags.ambassadorId,
    logger: createLogger("silent"),
  });
  const { resources, diagnostics, complete } = await boundedResources(bounds, await source.load());
  const files = new CertificateFiles(sink, foldersOf(bounds, istioCerts));
  await files.follow(filesToFollow(resources, istioCerts));
  files.stop();
  await ask(resources, store);
  const compilation = compile({
    resources,
    statuses: asIfIssued(store.statuses),
    options: compileOptionsOf(flags),
  });
  const found = sortDiagnostics([...diagnostics, ...store.diagnostics(), ...compilation.diagnostics]);
  // Its timers would keep the process alive for as long as a certificate lasts.
  store.close();
  return { resources, store, origins, compilation, diagnostics: found, complete };
}

/** Has what issuers deliver put into the store before anything is compiled. */
export type AskIssuers = (resources: ResourceSet, store: CredentialStore) => Promise<void>;

/** As of what opens no socket. */
export function compileOptionsOf(flags: ResourceFlags): CompileOptions {
  return {
    address: "127.0.0.1",
    engine: flags.engine ?? "node",
    requireUpstreamVerification: flags.requireUpstreamVerification,
    allowUnenforced: flags.allowUnenforced,
  };
}

/** As of what listens. */
export function servingOptionsOf(flags: ResourceFlags & ListenerFlags): CompileOptions {
  const { address, httpPort, httpsPort } = flags;
  return { ...compileOptionsOf(flags), address, httpPort, httpsPort };
}

/** Issuers are asked by what runs; until then nothing is to be said against what they will deliver. */
export function asIfIssued(statuses: CredentialStatuses): CredentialStatuses {
  return {
    credential: (name) =>
      statuses.credential(name) ??
      (isIssued(name) ? { usable: true, ...(isOfConsul(name) ? UNKNOWN_DOMAIN : {}) } : undefined),
    trust: (name) => statuses.trust(name) ?? (isIssued(name) ? { usable: true } : undefined),
    crl: (name) => statuses.crl(name) ?? (isIssued(name) ? { usable: true } : undefined),
    hasTrustAnchors: (name) => statuses.hasTrustAnchors(name) || isIssued(name),
  };
}

/** Consul's trust domain has a number for its first label, which Consul alone knows: names of peers are made of it. */
const UNKNOWN_DOMAIN = { trustDomain: "trust-domain.consul" };
