import type { ApplyReport, Engine, EngineProblem } from "../../../src/engines/engine.ts";
import type { Revision } from "../../../src/model/gateway.ts";

/** Remembers what it was given; refuses it while `problems` stand. */
export class FakeEngine implements Engine {
  readonly name = "node";
  readonly applied: Revision[] = [];
  problems: EngineProblem[] = [];
  /** Whether it waits until more is to follow. */
  waits = false;

  async apply(revision: Revision, overtaken?: AbortSignal): Promise<ApplyReport> {
    this.applied.push(revision);
    if (this.waits && overtaken?.aborted === false)
      await new Promise((resolve) => overtaken.addEventListener("abort", resolve));
    return {
      revision: revision.number,
      accepted: this.problems.length === 0,
      listeners: [{ name: "http", address: "127.0.0.1", port: 8080 }],
      problems: this.problems,
    };
  }
  async drain(): Promise<void> {}
  async stop(): Promise<void> {}
}
