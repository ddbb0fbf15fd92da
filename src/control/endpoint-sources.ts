import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { GatewayModel } from "../model/gateway.ts";

/** Who knows the addresses of clusters with a resolver, as far as the loop needs to know. */
export interface EndpointSources {
  /** Before the engine gets the model: what it names is asked for. Resolves after the first answers, or a bounded time. */
  prepare(model: GatewayModel): Promise<void>;
  diagnostics(): Diagnostic[];
  /** Told whenever `diagnostics` may say something else. */
  onFindings(listener: () => void): () => void;
}
