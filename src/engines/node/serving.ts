import type { AccessLog } from "../../telemetry/access-log.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { FailureSink, TrySink } from "../engine.ts";
import type { Deadlines } from "./deadlines.ts";
import { RequestHead } from "./http1/request-head.ts";
import { ResponseHead } from "./http1/response-head.ts";
import type { Limits } from "./limits.ts";
import type { Plan } from "./plan.ts";
import type { EngineStats } from "./stats.ts";

/** What every connection of an engine shares. `plan` and `draining` change while requests run. */
export interface Serving {
  plan: Plan;
  draining: boolean;
  /** Where the https listener is open; null while there is none. */
  httpsPort: number | null;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly accessLog: AccessLog | undefined;
  readonly onFailure: FailureSink;
  readonly onTryFailed?: TrySink | undefined;
  readonly stats: EngineStats;
  readonly connections: Set<OpenConnection>;
  /** Parsers, filled anew for each message: their content is used up before the next event. */
  readonly requestHead: RequestHead;
  readonly responseHead: ResponseHead;
}

/** A client connection, as far as shutting down is concerned. */
export interface OpenConnection {
  /** Closes it if no request has been on it for `graceMs` before `now` (`performance.now()`). */
  drain(now: number, graceMs: number): void;
  destroy(): void;
}

/** The parsers of an engine with these bounds. */
export function parsers(limits: Limits): Pick<Serving, "requestHead" | "responseHead"> {
  return {
    requestHead: new RequestHead(limits.maxHeaders),
    responseHead: new ResponseHead(limits.maxHeaders),
  };
}
