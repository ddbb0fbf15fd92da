import type { FailureReason, FailureRecord } from "../../diagnostics/failure.ts";
import type { FailureSink, HandshakeSink } from "../../engines/engine.ts";

/** Counts the failures that Envoys tell of, and hands them on. */
export class FailureCounts {
  readonly byReason: Map<FailureReason, number> = new Map();
  /** Where they go; the stream is open before there is anybody to take them. */
  onFailure: FailureSink = () => {};
  onHandshakeFailed: HandshakeSink = () => {};

  readonly handshake: HandshakeSink = (record) => this.onHandshakeFailed(record);
  readonly failure: FailureSink = (record: FailureRecord) => {
    this.byReason.set(record.reason, (this.byReason.get(record.reason) ?? 0) + 1);
    this.onFailure(record);
  };
}
