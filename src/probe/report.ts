import type { HandshakeReason } from "../diagnostics/handshake.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import type { StepName } from "./failure.ts";
import type { Check } from "./judge.ts";

/** The JSON of `credence probe`; docs/probe.md describes it. Fields are added, never changed. */
export interface ProbeReport {
  readonly version: 1;
  /** e.g. `mapping/default/quote`, or the URL. */
  readonly target: string;
  readonly good: boolean;
  readonly peers: readonly PeerReport[];
}

/** One peer, and the way to it. */
export interface PeerReport {
  /** `upstream`: the gateway dials it. `listener`: it is the gateway's own, and we are its client. */
  readonly side: "upstream" | "listener";
  /** Of the cluster, or the domain that is served. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** All that the name has; the first one that takes connections is probed. */
  readonly addresses: readonly string[];
  /** Null: no connection was made. */
  readonly address: string | null;
  /** Resources and credentials that decide it, with their places. */
  readonly decidedBy: readonly Placed[];
  readonly steps: readonly Step[];
  readonly offered: Offered | null;
  readonly negotiated: NegotiatedReport | null;
  /** What the peer asks of a client's certificate; null: it asks for none, or did not come to it. */
  readonly asked: Asked | null;
  /** What it presented, leaf first. */
  readonly certificates: readonly CertificateFacts[];
  readonly checks: readonly Check[];
  /** On the client's side of a listener: how the gateway judges the certificate that was given; else null. */
  readonly client: {
    readonly certificates: readonly CertificateFacts[];
    readonly checks: readonly Check[];
  } | null;
  /** What we presented, leaf first. */
  readonly presented: readonly CertificateFacts[];
  /** False: it refused; null: nobody can tell. */
  readonly accepted: boolean | null;
  readonly verdict: Verdict;
}

export interface Placed {
  readonly name: string;
  readonly place: string | null;
}

export interface Step {
  readonly step: StepName;
  readonly status: "ok" | "failed" | "warning" | "skipped";
  readonly says: string;
  readonly details: readonly string[];
}

export interface Offered {
  readonly versions: readonly string[];
  readonly cipherSuites: readonly string[];
  readonly groups: readonly string[];
  readonly signatures: readonly string[];
  readonly alpn: readonly string[];
  readonly serverName: string | null;
}

export interface NegotiatedReport {
  readonly version: string;
  readonly cipher: string;
  readonly group: string | null;
  readonly signature: string | null;
  readonly alpn: string | null;
  readonly resumes: boolean | null;
}

export interface Asked {
  /** Empty: any. */
  readonly authorities: readonly string[];
  readonly signatures: readonly string[];
}

export interface Verdict {
  readonly good: boolean;
  /** Null: good. */
  readonly reason: HandshakeReason | null;
  readonly step: StepName | null;
  /** What was seen, one sentence. */
  readonly says: string;
  readonly is: string | null;
  readonly remedy: string | null;
  /** What to change for it, each at its place. */
  readonly change: readonly Change[];
  /** What is wrong besides, and would come next. */
  readonly also: readonly {
    readonly reason: HandshakeReason;
    readonly says: string;
    readonly change: readonly Change[];
  }[];
  /** Where the other engine, or OpenSSL, judges otherwise. */
  readonly notes: readonly string[];
}

export interface Change {
  /** The model's name for the object, e.g. `tlscontext/default/up`. */
  readonly object: string;
  readonly field: string;
  /** `file:line`; null: not known. */
  readonly place: string | null;
  readonly says: string;
}
