import type { CredentialChange } from "../credentials/credential.ts";
import type { CredentialStore } from "../credentials/store.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { ApplyReport, Engine, EngineProblem } from "../engines/engine.ts";
import type { Revision } from "../model/gateway.ts";
import type { Logger } from "../telemetry/logger.ts";
import { FindingsLog } from "./findings-log.ts";

/** What the loop says in the log: everything once, however often it is found. */
export class ControlLog {
  readonly #logger: Logger;
  readonly #findings: FindingsLog;
  #notReady: string | null = null;

  constructor(logger: Logger) {
    this.#logger = logger;
    this.#findings = new FindingsLog(logger);
  }

  /** What came of a revision that the engine was given. `serving`: the one before; `before`: what stood against it when it was tried last. */
  applied(
    { number, hash, model }: Revision,
    { accepted, problems }: ApplyReport,
    serving: Revision | null,
    before: readonly EngineProblem[] | null,
  ): void {
    if (accepted) {
      // One that is tried again for a port's sake has been said.
      if (serving?.number !== number)
        this.#logger.info(
          { revision: number, routes: model.routes.length, hash: hash.slice(0, 12) },
          "revision serves",
        );
    } else if (JSON.stringify(problems) !== JSON.stringify(before))
      this.#logger.error(
        { revision: number, problems },
        serving === null ? "revision refused" : "revision refused, the previous one stays",
      );
  }

  /** All findings that stand now. */
  findings(found: readonly Diagnostic[]): void {
    this.#findings.tell(found);
  }

  /** Null: it is ready. */
  readiness(notReady: string | null, { down, isStarting }: Pick<Engine, "down" | "isStarting">): void {
    if (notReady !== null && notReady !== this.#notReady) {
      const isOnItsWay = notReady === down && isStarting === true;
      this.#logger[isOnItsWay ? "info" : "error"](`not ready: ${notReady}`);
    }
    this.#notReady = notReady;
  }

  rotated({ kind, name, generation }: CredentialChange, store: CredentialStore): void {
    const [leaf] = (kind === "credential" ? store.credential(name) : store.trust(name))?.facts ?? [];
    this.#logger.info(
      {
        credential: name,
        kind,
        generation,
        subject: leaf?.subject,
        notAfter: leaf === undefined ? undefined : new Date(leaf.notAfter).toISOString(),
      },
      "a new generation is in use",
    );
  }

  fault(error: unknown): void {
    this.#logger.error({ err: error }, "reload failed, the previous revision stays");
  }
}
