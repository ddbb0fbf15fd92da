import type { FailureReason, FailureRecord } from "../../diagnostics/failure.ts";
import type { FailureSink } from "../../engines/engine.ts";

/** Counts the failures that Envoys tell of, and hands them on. */
export class FailureCounts {
  readonly byReason: Map<FailureReason, number> = new Map();
  /** Where they go; the stream is open before there is anybody to take them. */
  onFailure: FailureSink = () => {};

  readonly take: FailureSink = (record: FailureRecord) => {
    this.byReason.set(record.reason, (this.byReason.get(record.reason) ?? 0) + 1);
    this.onFailure(record);
  };
}
