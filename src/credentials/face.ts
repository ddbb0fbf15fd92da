import type { KnownCode } from "../diagnostics/catalogue.ts";
import type { Admitted, Finding } from "./admission.ts";
import type {
  Credential,
  CredentialKind,
  CredentialOrigin,
  CredentialStatus,
  RevocationBundle,
  TrustBundle,
} from "./credential.ts";
import { staleFrom } from "./crl-admission.ts";

/** What admission makes of an offer; its name and generation are given on publication. Dates in milliseconds. */
export type Offered = Omit<Credential | TrustBundle | RevocationBundle, "name" | "generation"> & {
  readonly notBefore?: number;
  readonly notAfter?: number;
};

export interface Published {
  readonly value: Credential | TrustBundle | RevocationBundle;
  readonly digest: string;
  /** -Infinity for trust and revocation lists, which are not out of use for their dates. */
  readonly notBefore: number;
  readonly notAfter: number;
}

interface Candidate {
  readonly offered: Offered;
  readonly digest: string;
  readonly warnings: readonly Finding[];
  readonly notBefore: number;
  readonly notAfter: number;
}

/**
 * One of the things that a name stands for. Decides what is in use: the last good offer, for as long as its dates
 * allow. A bad one, and one out of its dates, never takes the place of one that works. Knows no clock: time is told.
 */
export class Face {
  readonly kind: CredentialKind;
  readonly name: string;
  origin: CredentialOrigin;
  /** What listeners were last told; 0 for not usable. */
  announced = 0;
  cancelTimer: () => void = () => {};
  #generation: number;
  #digest = "";
  #published: Published | null = null;
  #waiting: Candidate | null = null;
  #rejected: Finding | null = null;
  #warnings: readonly Finding[] = [];

  /** Generations count on from `generation`. */
  constructor(kind: Face["kind"], name: string, origin: CredentialOrigin, generation: number) {
    this.kind = kind;
    this.name = name;
    this.origin = origin;
    this.#generation = generation;
  }

  get generation(): number {
    return this.#generation;
  }

  /** The last one published, in its dates or not. */
  get published(): Published | null {
    return this.#published;
  }

  /** Why the last offer is not in use, where it is not published. */
  get rejected(): Finding | null {
    return this.#rejected;
  }

  get warnings(): readonly Finding[] {
    return this.#warnings;
  }

  current(now: number): Published | undefined {
    const published = this.#published;
    return published !== null && now >= published.notBefore && now <= published.notAfter
      ? published
      : undefined;
  }

  status(now: number): CredentialStatus {
    const current = this.current(now);
    if (current !== undefined) return { usable: true, ...refusal(current) };
    const finding = this.dateFinding(now) ?? this.#rejected;
    return {
      usable: false,
      code: finding?.code ?? "secret-missing",
      reason: finding?.message ?? "nothing was given",
    };
  }

  /** What the dates of the published one have against it. */
  dateFinding(now: number): Finding | null {
    const published = this.#published;
    return published === null ? null : dateFinding(this.name, published.notBefore, published.notAfter, now);
  }

  offer(digest: string, admit: () => Admitted<Offered>, now: number): void {
    if (digest === this.#digest) return;
    this.#digest = digest;
    this.#waiting = null;
    this.#rejected = null;
    // Back to what is in use: the mistake is undone, and nothing has rotated.
    if (digest === this.#published?.digest) return;
    const admitted = admit();
    if (!admitted.ok) {
      this.#rejected = admitted.finding;
      return;
    }
    const { notBefore = Number.NEGATIVE_INFINITY, notAfter = Number.POSITIVE_INFINITY } = admitted.value;
    const candidate = {
      offered: admitted.value,
      digest,
      warnings: admitted.warnings,
      notBefore,
      notAfter,
    };
    const outOfDate = dateFinding(this.name, notBefore, notAfter, now);
    if (outOfDate === null || this.current(now) === undefined) {
      this.#publish(candidate);
      return;
    }
    this.#rejected = outOfDate;
    if (now < notBefore) this.#waiting = candidate;
  }

  /** A renewal that came before its time takes over when that has come. */
  tick(now: number): void {
    const waiting = this.#waiting;
    if (waiting === null || now < waiting.notBefore) return;
    this.#waiting = null;
    // Slept through: what it would replace has the later end, or neither works.
    if (now > waiting.notAfter)
      this.#rejected = dateFinding(this.name, waiting.notBefore, waiting.notAfter, now);
    else this.#publish(waiting);
  }

  /** Forgets what was published, so that the next offer stands on its own. */
  withdraw(): void {
    this.#digest = "";
    this.#published = null;
    this.#waiting = null;
    this.#rejected = null;
    this.#warnings = [];
  }

  /** The next moment at which time alone changes something; undefined when there is none. */
  nextChange(now: number): number | undefined {
    const moments = [
      this.#waiting?.notBefore,
      this.#published?.notBefore,
      (this.#published?.notAfter ?? 0) + 1,
      // Nothing ends then but the peace: there is a finding to tell.
      this.kind === "crl" && this.#published !== null
        ? staleFrom((this.#published.value as RevocationBundle).lists) + 1
        : undefined,
    ];
    const next = Math.min(...(moments.filter((moment) => moment !== undefined && moment > now) as number[]));
    return Number.isFinite(next) ? next : undefined;
  }

  #publish({ offered, digest, warnings, notBefore, notAfter }: Candidate): void {
    const value = { ...offered, name: this.name, generation: ++this.#generation } as Published["value"];
    this.#published = { value, digest, notBefore, notAfter };
    this.#warnings = warnings;
    this.#rejected = null;
  }
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

function refusal({ value }: Published): { refusedByEnvoy?: string } {
  return "refusedByEnvoy" in value && value.refusedByEnvoy !== undefined
    ? { refusedByEnvoy: value.refusedByEnvoy }
    : {};
}
