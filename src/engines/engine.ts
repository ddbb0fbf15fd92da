import type { FailureRecord, HandshakeRecord } from "../diagnostics/failure.ts";
import type { HandshakeReason } from "../diagnostics/handshake.ts";
import type { Revision } from "../model/gateway.ts";

/** The port every data plane stands behind. An engine also reads the credential and endpoint stores, by name. */
export interface Engine {
  readonly name: "node" | "envoy";
  /**
   * Makes `revision` the one that serves, without losing a request. Resolves when new requests follow it. What the
   * engine cannot take is reported, and the previous revision goes on serving: it never rejects. Once `overtaken` is aborted
   * there is more to follow: an engine whose proxies are not its own waits no longer for theirs.
   */
  apply(revision: Revision, overtaken?: AbortSignal): Promise<ApplyReport>;
  /** Stops accepting and resolves when what is in flight has ended, or after `milliseconds`. */
  drain(milliseconds: number): Promise<void>;
  /** Closes every connection at once. */
  stop(): Promise<void>;
  /** Of an engine with processes of its own: why nothing is served just now; null: it is. */
  readonly down?: string | null;
  /** What `down` says is as it should be for now: they were started a moment ago. */
  readonly isStarting?: boolean;
  /**
   * Of an engine in which what stands against the revision that serves may change after `apply`: called with all of it then.
   * Returns the function that ends it.
   */
  onProblems?(listener: (problems: readonly EngineProblem[]) => void): () => void;
}

export interface ApplyReport {
  readonly revision: number;
  /** false: the previous revision is still the one that serves. */
  readonly accepted: boolean;
  /** Where each listener is open now. */
  readonly listeners: readonly BoundListener[];
  readonly problems: readonly EngineProblem[];
}

export interface BoundListener {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

export interface EngineProblem {
  /** A diagnostic code, e.g. `listener-port-unavailable`. */
  readonly code: string;
  /** The listener, route or cluster it is about, by name. */
  readonly subject: string;
  readonly message: string;
}

/** Where an engine reports each request that failed. */
export type FailureSink = (failure: FailureRecord) => void;

/** Where an engine reports why an upstream was not reached, where another try follows. */
export type TrySink = (reason: HandshakeReason) => void;

/** Where an engine reports each handshake of a client that failed. */
export type HandshakeSink = (failure: HandshakeRecord) => void;
