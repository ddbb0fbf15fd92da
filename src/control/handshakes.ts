import type { FailureRecord, HandshakeRecord } from "../diagnostics/failure.ts";
import type { HandshakeReason } from "../diagnostics/handshake.ts";

/** Handshakes that failed, either way: counted by reason, and the last of those with clients kept for the operator. */
export class Handshakes {
  readonly upstream: Map<HandshakeReason, number> = new Map();
  readonly downstream: Map<HandshakeReason, number> = new Map();
  readonly #capacity: number;
  /** Oldest first. */
  readonly #recent: HandshakeRecord[] = [];

  constructor(capacity = 100) {
    this.#capacity = capacity;
  }

  /** Newest first. */
  get recent(): readonly HandshakeRecord[] {
    return this.#recent.toReversed();
  }

  /** Of a try that another one follows: the request may yet succeed. */
  addTry(reason: HandshakeReason): void {
    count(this.upstream, reason);
  }

  addFailure({ handshake }: FailureRecord): void {
    if (handshake !== undefined) count(this.upstream, handshake);
  }

  add(record: HandshakeRecord): void {
    count(this.downstream, record.reason);
    this.#recent.push(record);
    if (this.#recent.length > this.#capacity) this.#recent.shift();
  }
}

function count(counts: Map<HandshakeReason, number>, reason: HandshakeReason): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}
