import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { EngineName } from "../model/capabilities.ts";
import type { GatewayModel } from "../model/gateway.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import type { CredentialStatuses } from "./statuses.ts";
import type { CompiledContext } from "./tls-contexts.ts";

export interface CompileOptions {
  /** Who is to run the model: what that engine cannot do is closed, and said. */
  readonly engine: EngineName;
  /** Address to listen on. */
  readonly address: string;
  /** Flags; undefined: the Module's, else the default. 0: a free one. */
  readonly httpPort?: number | undefined;
  readonly httpsPort?: number | undefined;
  /** Turns the warning on an unverified upstream into fail closed. */
  readonly requireUpstreamVerification?: boolean | undefined;
  /** Serve the routes that an unenforceable access control covers. */
  readonly allowUnenforced?: boolean | undefined;
}

export interface CompileInput {
  readonly resources: ResourceSet;
  readonly statuses: CredentialStatuses;
  /** Of the statuses: at one epoch they say the same. Absent: nothing is known of that. */
  readonly epoch?: number;
  readonly options: CompileOptions;
}

export interface Compilation {
  readonly model: GatewayModel;
  readonly diagnostics: readonly Diagnostic[];
  /** Every TLSContext, written or implied, usable or not: for who asks what a credential is for. */
  readonly contexts: ReadonlyMap<string, CompiledContext>;
  /** Part of the model, e.g. `route mapping/default/a`, to the resources it came from. */
  readonly references: Readonly<Record<string, readonly string[]>>;
}
