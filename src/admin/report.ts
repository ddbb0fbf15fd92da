import type { Control, ControlState } from "../control/control.ts";
import type { FailureHistory } from "../control/failures.ts";
import type { Handshakes } from "../control/handshakes.ts";
import type { AnchorLedger } from "../credentials/anchor-ledger.ts";
import type { CredentialListing } from "../credentials/listing.ts";
import type { CredentialStore } from "../credentials/store.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { FailureRecord, HandshakeRecord } from "../diagnostics/failure.ts";
import { explainClient, HANDSHAKE_REASONS, type HandshakeReason } from "../diagnostics/handshake.ts";
import { sortDiagnostics } from "../diagnostics/render.ts";
import { isoTime } from "../telemetry/clock.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import type { RevocationListFacts } from "../x509/revocation.ts";

/** What pages are made from. */
export interface ReportSources {
  /** One, unless this is the control plane of several groups. */
  readonly planes: readonly ReportedPlane[];
}

/** An engine, and what feeds it. */
export interface ReportedPlane {
  /** Of a fleet; absent where there are no groups. */
  readonly group?: string;
  readonly control: Control;
  readonly store: CredentialStore;
  readonly failures: FailureHistory;
  readonly handshakes: Handshakes;
  readonly engine: { readonly name: string };
  /** The processes that serve for the engine; absent: it serves itself. */
  readonly proxies?: () => readonly ReportedProxy[];
  /** Which CAs vouch for peers; absent: the engine does not tell. */
  readonly anchors?: AnchorLedger;
}

/** An Envoy: what it has, and what it does not take. */
export interface ReportedProxy {
  /** Its node id. */
  readonly node: string;
  /** Whom its certificate says it is, or how else it is known. */
  readonly identity: string;
  /** As it names itself, e.g. `envoy 1.40.0`. */
  readonly software: string;
  /** ISO 8601; null: it is not connected. */
  readonly connectedSince: string | null;
  /** Number of the revision of which it has all that it did not refuse; null: none yet. */
  readonly revision: number | null;
  /** It has all that is published, but for what it refused. */
  readonly upToDate: boolean;
  readonly resources: readonly ReportedResources[];
  readonly refused: readonly ReportedRefusal[];
  /** Where Credence runs it. */
  readonly process?: {
    readonly phase: string;
    readonly pid: number | null;
    readonly starts: number;
    readonly lastEnd: string | null;
  };
}

export interface ReportedResources {
  /** e.g. `listener`. */
  readonly kind: string;
  readonly acknowledged: number;
  readonly pending: number;
}

export interface ReportedRefusal {
  readonly kind: string;
  readonly name: string;
  /** In its words. */
  readonly detail: string;
  /** ISO 8601. */
  readonly at: string;
  /** The objects concerned, e.g. `mapping/default/shop`. */
  readonly from: readonly string[];
  /** What it has instead, e.g. `last-good`. */
  readonly instead: string;
}

export interface ReportQuery {
  /** Findings that are errors, and nothing milder. */
  readonly errorsOnly: boolean;
  /** The one failed request with this id. */
  readonly failure: string | null;
}

/** The diagnostics API's answer (design §9, Shapes). Facts only: key bytes are nowhere near. */
export interface Report {
  readonly version: 1;
  /** Number of the revision that serves; null before the first. */
  readonly revision: number | null;
  readonly ready: boolean;
  readonly notReady: string | null;
  readonly diagnostics: readonly Diagnostic[];
  readonly certificates: readonly ReportedCredential[];
  /** Newest first. */
  readonly failures: readonly (FailureRecord & Partial<Explained>)[];
  /** Of clients, newest first: the last that failed. */
  readonly handshakes: readonly (HandshakeRecord & Explained)[];
  readonly engines: readonly ReportedEngine[];
}

/** A handshake's reason in words. */
export interface Explained {
  readonly is: string;
  readonly remedy: string;
}

export interface ReportedCredential {
  readonly name: string;
  readonly kind: CredentialListing["kind"];
  readonly generation: number;
  readonly usable: boolean;
  /** Why not; null when it is usable. */
  readonly reason: string | null;
  /** Of a kind `crl`: each revocation list. Times are ISO 8601. */
  readonly lists?: readonly (Omit<RevocationListFacts, "thisUpdate" | "nextUpdate"> & {
    readonly thisUpdate: string;
    readonly nextUpdate: string | null;
  })[];
  /** Leaf first; every anchor of a trust bundle. Times are ISO 8601. */
  readonly chain: readonly (Omit<CertificateFacts, "notBefore" | "notAfter"> & {
    readonly notBefore: string;
    readonly notAfter: string;
  })[];
}

export interface ReportedEngine {
  readonly name: string;
  readonly revision: number | null;
  /** SHA-256 of the model that serves. */
  readonly hash: string | null;
  readonly listeners: ControlState["listeners"];
  /** A fault of Credence's own in the last reload: the revision above is the last good one. */
  readonly fault: string | null;
  /** Of a fleet; absent where there are no groups. */
  readonly group?: string;
  /** Absent: the engine serves in Credence's own process. */
  readonly proxies?: readonly ReportedProxy[];
}

/** Ready when all groups are. */
export function createReadiness({ planes }: ReportSources): Pick<Report, "revision" | "ready" | "notReady"> {
  const states = planes.map(({ group, control }) => ({ group, ...control.state }));
  const notReady = states.flatMap(({ group, notReady }) =>
    notReady === null ? [] : [group === undefined ? notReady : `group ${group}: ${notReady}`],
  );
  return {
    revision: revisionOf(states.map(({ revision }) => revision?.number ?? null)),
    ready: notReady.length === 0,
    notReady: notReady.length === 0 ? null : notReady.join("; "),
  };
}

/** All that the diagnostics page and its JSON show, as it is now. */
export function createReport(sources: ReportSources, query: ReportQuery): Report {
  const { planes } = sources;
  const states = planes.map(({ control }) => control.state);
  const { failure } = query;
  const found = distinct(states.flatMap(({ diagnostics }) => diagnostics));
  const sorted = planes.length === 1 ? found : sortDiagnostics(found);
  return {
    version: 1,
    ...createReadiness(sources),
    diagnostics: query.errorsOnly ? sorted.filter(({ severity }) => severity === "error") : sorted,
    certificates: distinct(planes.flatMap(({ store }) => certificatesOf(store))).sort((a, b) =>
      `${a.name} ${a.kind}` < `${b.name} ${b.kind}` ? -1 : 1,
    ),
    failures: planes
      .flatMap(({ failures }) => (failure === null ? failures.recent() : (failures.find(failure) ?? [])))
      .sort((a, b) => (planes.length === 1 || a.time === b.time ? 0 : a.time < b.time ? 1 : -1))
      .map((record) => ({ ...record, ...(record.handshake === undefined ? {} : explain(record.handshake)) })),
    handshakes: planes
      .flatMap(({ handshakes }) => handshakes.recent)
      .sort((a, b) => (planes.length === 1 || a.time === b.time ? 0 : a.time < b.time ? 1 : -1))
      .map((record) => ({ ...record, ...explainClient(record.reason) })),
    engines: planes.map(({ group, engine, proxies }, index) => {
      const { revision, listeners, fault } = states[index] as ControlState;
      return {
        name: engine.name,
        revision: revision?.number ?? null,
        hash: revision?.hash ?? null,
        listeners,
        fault,
        ...(group === undefined ? {} : { group }),
        ...(proxies === undefined ? {} : { proxies: proxies() }),
      };
    }),
  };
}

function explain(reason: HandshakeReason): Explained {
  return HANDSHAKE_REASONS[reason];
}

/** Of several groups, each of which counts for itself: the newest, once all have one. */
function revisionOf(numbers: readonly (number | null)[]): number | null {
  const known = numbers.filter((number) => number !== null);
  return known.length < numbers.length || known.length === 0 ? null : Math.max(...known);
}

/** Groups may have files and certificates in common. */
function distinct<T>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

function certificatesOf(store: CredentialStore): ReportedCredential[] {
  return store.all().map(({ name, kind, generation, status, facts, lists }) => ({
    name,
    kind,
    generation,
    usable: status.usable,
    reason: status.usable ? null : `${status.code}: ${status.reason}`,
    ...(lists === undefined
      ? {}
      : {
          lists: lists.map((list) => ({
            ...list,
            thisUpdate: isoTime(list.thisUpdate),
            nextUpdate: list.nextUpdate === null ? null : isoTime(list.nextUpdate),
          })),
        }),
    chain: facts.map((certificate) => ({
      ...certificate,
      notBefore: isoTime(certificate.notBefore),
      notAfter: isoTime(certificate.notAfter),
    })),
  }));
}
