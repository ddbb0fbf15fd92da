import type { AnchorSink } from "../../../credentials/anchor-ledger.ts";
import type { CredentialReader } from "../../../credentials/credential.ts";
import type { DiscoveredEndpoints } from "../../../endpoints/discovered.ts";
import type { EndpointReader } from "../../../endpoints/endpoint.ts";
import type { Clock } from "../../../telemetry/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { TrySink } from "../../engine.ts";
import type { Deadlines } from "../deadlines.ts";
import type { Limits } from "../limits.ts";

/** What an upstream cluster has from its engine. */
export interface ClusterContext {
  readonly credentials: CredentialReader;
  readonly endpoints: EndpointReader;
  /** Of clusters with a resolver. */
  readonly discovered: DiscoveredEndpoints;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly onTryFailed?: TrySink | undefined;
  /** Told of each peer that was verified; absent: nobody asks. */
  readonly onVerified?: AnchorSink | undefined;
}
