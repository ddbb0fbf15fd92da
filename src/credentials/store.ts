import { createHash } from "node:crypto";
import { diagnose, type KnownCode } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { CertificateFacts } from "../x509/facts.ts";
import { type Admitted, admitIdentity, admitTrust, type Finding } from "./admission.ts";
import type {
  Credential,
  CredentialChange,
  CredentialMaterial,
  CredentialReader,
  CredentialStatus,
  CredentialStatuses,
  TrustBundle,
} from "./credential.ts";

/** Which object or file a credential came from, for its diagnostics. */
export interface CredentialOrigin {
  readonly subject: Subject;
  readonly source?: SourcePosition | undefined;
}

/** A row of pages and metrics: facts only. */
export interface CredentialListing {
  readonly name: string;
  readonly kind: "credential" | "trust";
  readonly generation: number;
  readonly status: CredentialStatus;
  readonly facts: readonly CertificateFacts[];
}

/**
 * The one home of key bytes. Each name has two faces, a credential and a trust bundle; each is published with a
 * generation once it is admitted, withdrawn when it is removed or out of date, and never replaced by a worse one.
 */
export class CredentialStore implements CredentialReader {
  readonly #clock: Clock;
  readonly #logger: Logger | undefined;
  readonly #faces = new Map<string, Face>();
  readonly #explicitTrust = new Set<string>();
  /** Outlives removal: a name that comes back must not be taken for the generation it once was. */
  readonly #generations = new Map<string, number>();
  readonly #listeners = new Set<(change: CredentialChange) => void>();

  constructor(clock: Clock, logger?: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Takes what a source found under `name`: the same bytes change nothing, a bad one never replaces a good one. */
  offer(name: string, material: CredentialMaterial, origin: CredentialOrigin): void {
    if (material.trustAnchors === undefined) this.#explicitTrust.delete(name);
    else this.#explicitTrust.add(name);
    const chain = material.certificateChain;
    if (chain === undefined && material.privateKey === undefined) this.#removeFace("credential", name);
    else
      this.#offerFace("credential", name, [chain ?? "", material.privateKey ?? ""], origin, () =>
        identity(material),
      );
    // 1.14 reads a `ca_secret` from its tls.crt, so a chain can be asked for as trust too; only what asks pays for it.
    const anchors = material.trustAnchors ?? chain;
    if (anchors === undefined) this.#removeFace("trust", name);
    else this.#offerFace("trust", name, [anchors], origin, () => admitTrust(anchors));
  }

  /** The source has it no more: withdrawn at once. */
  remove(name: string): void {
    this.#explicitTrust.delete(name);
    this.#removeFace("credential", name);
    this.#removeFace("trust", name);
  }

  credential(name: string): Credential | undefined {
    const published = this.#published("credential", name);
    return published === undefined ? undefined : (published.value as Credential);
  }

  trust(name: string): TrustBundle | undefined {
    const published = this.#published("trust", name);
    return published === undefined ? undefined : (published.value as TrustBundle);
  }

  hasTrustAnchors(name: string): boolean {
    return this.#explicitTrust.has(name);
  }

  /** What compile may know. Its methods answer for the two faces as the reader's do, in status instead of bytes. */
  get statuses(): CredentialStatuses {
    return {
      credential: (name) => this.#status("credential", name),
      trust: (name) => this.#status("trust", name),
      hasTrustAnchors: (name) => this.hasTrustAnchors(name),
    };
  }

  onChange(listener: (change: CredentialChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Findings about the credentials offered, and about those that end within 30 days. */
  diagnostics(): Diagnostic[] {
    const found: Diagnostic[] = [];
    for (const face of this.#faces.values()) {
      // A chain nobody uses as trust is no bad trust bundle.
      if (face.kind === "trust" && !this.#explicitTrust.has(face.name)) continue;
      const { subject, source } = face.origin;
      const kept = face.published !== null && face.rejected !== null;
      for (const { code, message } of [
        ...(face.rejected === null ? [] : [face.rejected]),
        ...face.warnings,
      ]) {
        found.push(
          diagnose(code, { subject, source, message, ...(kept ? { effect: "kept-previous" as const } : {}) }),
        );
      }
      if (kept) {
        found.push(
          diagnose("credential-kept-previous", {
            subject,
            source,
            message: `generation ${face.generation} of ${face.name} stays in use until ${new Date(face.published?.notAfter ?? 0).toISOString()}`,
          }),
        );
      }
      found.push(...this.#dateFindings(face));
    }
    return found;
  }

  all(): CredentialListing[] {
    return [...this.#faces.values()]
      .filter((face) => face.kind === "credential" || face.published !== null)
      .map((face) => ({
        name: face.name,
        kind: face.kind,
        generation: face.generation,
        status: this.#status(face.kind, face.name) ?? {
          usable: false,
          code: "secret-missing",
          reason: "removed",
        },
        facts: face.published?.value.facts ?? [],
      }));
  }

  close(): void {
    for (const face of this.#faces.values()) face.cancelTimer();
    this.#listeners.clear();
  }

  #offerFace(
    kind: Face["kind"],
    name: string,
    material: readonly string[],
    origin: CredentialOrigin,
    admit: () => Admitted<
      Omit<Published["value"], "name" | "generation"> & { notBefore?: number; notAfter?: number }
    >,
  ): void {
    const key = `${kind} ${name}`;
    const face = this.#faces.get(key) ?? newFace(kind, name, origin);
    this.#faces.set(key, face);
    face.origin = origin;
    const digest = createHash("sha256").update(JSON.stringify(material)).digest("hex");
    if (digest === face.offered) return;
    face.offered = digest;
    const admitted = admit();
    if (!admitted.ok) {
      face.rejected = admitted.finding;
      return;
    }
    const { notBefore = Number.NEGATIVE_INFINITY, notAfter = Number.POSITIVE_INFINITY } = admitted.value;
    const now = this.#clock.now();
    const outOfDate = dateFinding(name, notBefore, notAfter, now);
    if (outOfDate !== null && this.#published(kind, name) !== undefined) {
      face.rejected = outOfDate;
      return;
    }
    const before = this.#published(kind, name) !== undefined;
    face.rejected = null;
    face.warnings = admitted.warnings;
    face.generation = (this.#generations.get(key) ?? 0) + 1;
    this.#generations.set(key, face.generation);
    face.published = {
      notBefore,
      notAfter,
      value: { ...admitted.value, name, generation: face.generation } as Published["value"],
    };
    this.#schedule(face);
    const after = this.#published(kind, name) !== undefined;
    if (after) this.#emit(face, before ? "rotated" : "usable");
    else if (before) this.#emit(face, "unusable");
  }

  #removeFace(kind: Face["kind"], name: string): void {
    const face = this.#faces.get(`${kind} ${name}`);
    if (face === undefined) return;
    const before = this.#published(kind, name) !== undefined;
    face.cancelTimer();
    this.#faces.delete(`${kind} ${name}`);
    if (before) this.#emit(face, "unusable");
  }

  /** By the clock as well as by the timer: nothing is presented past its date because an event came late. */
  #published(kind: Face["kind"], name: string): Published | undefined {
    const published = this.#faces.get(`${kind} ${name}`)?.published;
    if (published == null) return undefined;
    const now = this.#clock.now();
    return now >= published.notBefore && now <= published.notAfter ? published : undefined;
  }

  #status(kind: Face["kind"], name: string): CredentialStatus | undefined {
    const face = this.#faces.get(`${kind} ${name}`);
    if (face === undefined) return undefined;
    if (this.#published(kind, name) !== undefined) return { usable: true };
    const finding =
      face.published === null
        ? (face.rejected as Finding)
        : dateFinding(name, face.published.notBefore, face.published.notAfter, this.#clock.now());
    return {
      usable: false,
      code: finding?.code ?? "secret-missing",
      reason: finding?.message ?? "not usable",
    };
  }

  #schedule(face: Face): void {
    face.cancelTimer();
    const { published } = face;
    if (published === null) return;
    const now = this.#clock.now();
    if (now < published.notBefore) {
      face.cancelTimer = this.#clock.after(published.notBefore - now, () => {
        this.#schedule(face);
        this.#emit(face, "usable");
      });
    } else if (now <= published.notAfter && Number.isFinite(published.notAfter)) {
      face.cancelTimer = this.#clock.after(published.notAfter - now + 1, () => this.#emit(face, "unusable"));
    }
  }

  #emit(face: Face, event: CredentialChange["event"]): void {
    const change: CredentialChange = { name: face.name, kind: face.kind, event, generation: face.generation };
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#logger?.error(
          { err: error, credential: face.name },
          "a listener of the credential store failed",
        );
      }
    }
  }

  #dateFindings(face: Face): Diagnostic[] {
    if (face.published === null || face.kind === "trust") return [];
    const { subject, source } = face.origin;
    const { notBefore, notAfter } = face.published;
    const now = this.#clock.now();
    const finding = dateFinding(face.name, notBefore, notAfter, now);
    if (finding !== null) return [diagnose(finding.code, { subject, source, message: finding.message })];
    if (notAfter - now > EXPIRY_WARNING_MS) return [];
    const message = `${face.name} expires at ${new Date(notAfter).toISOString()}`;
    return [diagnose("certificate-expires-soon", { subject, source, message })];
  }
}

interface Face {
  readonly kind: "credential" | "trust";
  readonly name: string;
  origin: CredentialOrigin;
  /** SHA-256 of the last material offered. */
  offered: string;
  generation: number;
  published: Published | null;
  /** Why the last offer was not published. */
  rejected: Finding | null;
  warnings: readonly Finding[];
  cancelTimer: () => void;
}

interface Published {
  readonly value: Credential | TrustBundle;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** 30 days. */
const EXPIRY_WARNING_MS = 30 * 24 * 3_600_000;

function newFace(kind: Face["kind"], name: string, origin: CredentialOrigin): Face {
  return {
    kind,
    name,
    origin,
    offered: "",
    generation: 0,
    published: null,
    rejected: null,
    warnings: [],
    cancelTimer: () => {},
  };
}

function identity(material: CredentialMaterial): ReturnType<typeof admitIdentity> {
  const missing =
    material.certificateChain === undefined
      ? "certificate chain"
      : material.privateKey === undefined
        ? "private key"
        : null;
  if (missing !== null)
    return { ok: false, finding: { code: "secret-key-missing", message: `there is no ${missing}` } };
  return admitIdentity(material.certificateChain ?? "", material.privateKey ?? "");
}

function dateFinding(name: string, notBefore: number, notAfter: number, now: number): Finding | null {
  const code: KnownCode | null =
    now > notAfter ? "certificate-expired" : now < notBefore ? "certificate-not-yet-valid" : null;
  if (code === null) return null;
  const when =
    code === "certificate-expired"
      ? `expired at ${new Date(notAfter).toISOString()}`
      : `is valid from ${new Date(notBefore).toISOString()}`;
  return { code, message: `${name} ${when}` };
}
