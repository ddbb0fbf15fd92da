import type { CertificateFacts } from "../x509/facts.ts";
import { identified } from "../x509/finding.ts";
import { trustDomainOf } from "../x509/spiffe.ts";
import type { Admitted, Finding } from "./admission.ts";
import type {
  Credential,
  CredentialKind,
  CredentialOrigin,
  CredentialStatus,
  GivenStaple,
  OcspStaple,
  RevocationBundle,
  TrustBundle,
} from "./credential.ts";
import { staleFrom } from "./crl-admission.ts";

/** What admission makes of an offer; its name and generation are given on publication. Dates in milliseconds. */
export type Offered = Omit<
  Credential | TrustBundle | RevocationBundle | GivenStaple,
  "name" | "generation"
> & {
  readonly notBefore?: number;
  readonly notAfter?: number;
};

export interface Published {
  readonly value: Credential | TrustBundle | RevocationBundle | GivenStaple;
  /** Of the bytes that are used. */
  readonly content: string;
  /** -Infinity for trust and revocation lists, which are not out of use for their dates. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface OfferDigests {
  readonly digest: string;
  readonly content: string;
}

interface Candidate {
  readonly offered: Offered;
  readonly content: string;
  readonly warnings: readonly Finding[];
  readonly flaws: readonly Finding[];
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
  /** The status that was the last to be told of. */
  said = "";
  /** When there is nothing to say about it, in milliseconds since the epoch, as long as it has this version. */
  quiet = { version: -1, from: 0, until: 0 };
  cancelTimer: () => void = () => {};
  /** Whether there is a staple for a chain. */
  isStapled: (certificateChain: string) => boolean = () => false;
  #version = 0;
  #generation: number;
  #digest = "";
  #published: Published | null = null;
  #waiting: Candidate | null = null;
  #rejected: Finding | null = null;
  #warnings: readonly Finding[] = [];
  #flaws: readonly Finding[] = [];

  /** Generations count on from `generation`. */
  constructor(kind: Face["kind"], name: string, origin: CredentialOrigin, generation: number) {
    this.kind = kind;
    this.name = name;
    this.origin = origin;
    this.#generation = generation;
  }

  /** Another number whenever something else is published, waits, or is held against it: only time changes what it says then. */
  get version(): number {
    return this.#version;
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

  /** What is against the last offer, one sentence; null: it is in use. */
  refusal(now: number): string | null {
    return (this.#rejected ?? this.dateFinding(now))?.message ?? null;
  }

  /** The last offer is not in use, or in use with a warning. */
  get isFlawed(): boolean {
    return this.#rejected !== null || this.#warnings.length + this.#flaws.length > 0;
  }

  get warnings(): readonly Finding[] {
    return [...this.#warnings, ...this.#flaws];
  }

  current(now: number): Published | undefined {
    const published = this.#published;
    return published !== null && now >= published.notBefore && now <= published.notAfter
      ? published
      : undefined;
  }

  status(now: number): CredentialStatus {
    const current = this.current(now);
    if (current !== undefined) return { usable: true, ...usableFacts(current) };
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
    if (published === null) return null;
    return this.#dated(published.value, published.notBefore, published.notAfter, now);
  }

  /** `digest` is of all that decides about the offer, `content` of what would be used. */
  offer({ digest, content }: OfferDigests, admit: () => Admitted<Offered>, now: number): void {
    if (digest === this.#digest) return;
    this.#version += 1;
    this.#digest = digest;
    this.#waiting = null;
    this.#rejected = null;
    const admitted = admit();
    if (!admitted.ok) {
      this.#rejected = admitted.finding;
      return;
    }
    const { warnings, flaws = [] } = admitted;
    // Back to what is in use, or given with another CA: nothing has rotated.
    if (content === this.#published?.content) {
      this.#warnings = warnings;
      this.#flaws = flaws;
      return;
    }
    const { notBefore = Number.NEGATIVE_INFINITY, notAfter = Number.POSITIVE_INFINITY } = admitted.value;
    const candidate = { offered: admitted.value, content, warnings, flaws, notBefore, notAfter };
    this.#rejected = this.#against(candidate, now);
    if (this.#rejected === null) this.#publish(candidate);
    else if (now <= notAfter) this.#waiting = candidate;
  }

  /** A renewal that came before its time takes over when that has come, and a worse one when there is nothing better. */
  tick(now: number): void {
    const waiting = this.#waiting;
    if (waiting === null || now < waiting.notBefore) return;
    if (this.#isUnstapled(waiting, now)) return;
    this.#version += 1;
    // Slept through: what it would replace has the later end, or neither works.
    this.#rejected =
      now > waiting.notAfter
        ? this.#dated(waiting.offered, waiting.notBefore, waiting.notAfter, now)
        : this.#against(waiting, now);
    if (this.#rejected === null) this.#publish(waiting);
    if (this.#rejected === null || now > waiting.notAfter) this.#waiting = null;
  }

  /** Gives the published certificate its staple, or takes it away: a new generation, where this one has been told of. */
  attach(ocspStaple: OcspStaple | undefined): void {
    const published = this.#published;
    if (published === null || (published.value as Credential).ocspStaple === ocspStaple) return;
    this.#version += 1;
    const { ocspStaple: _, ...value } = published.value as Credential;
    if (this.announced === this.#generation) this.#generation += 1;
    const whole = {
      ...value,
      generation: this.#generation,
      ...(ocspStaple === undefined ? {} : { ocspStaple }),
    };
    this.#published = { ...published, value: whole };
  }

  /** Forgets what was published, so that the next offer stands on its own. */
  withdraw(): void {
    this.#version += 1;
    this.#digest = "";
    this.#published = null;
    this.#waiting = null;
    this.#rejected = null;
    this.#warnings = [];
    this.#flaws = [];
  }

  /** The next moment at which time alone changes something; undefined when there is none. */
  nextChange(now: number): number | undefined {
    const moments = [
      this.#waiting?.notBefore,
      this.#published?.notBefore,
      (this.#published?.notAfter ?? 0) + 1,
      // Nothing ends then but the peace: there is a finding to tell.
      this.kind === "crl" && this.#published !== null
        ? staleFrom((this.#published.value as RevocationBundle).lists, now) + 1
        : undefined,
    ];
    const next = Math.min(...(moments.filter((moment) => moment !== undefined && moment > now) as number[]));
    return Number.isFinite(next) ? next : undefined;
  }

  #dated(offered: Offered, notBefore: number, notAfter: number, now: number): Finding | null {
    const finding = dateFinding(this.name, offered, notBefore, notAfter, now);
    return finding === null || this.kind !== "staple" ? finding : { ...finding, code: "ocsp-staple-stale" };
  }

  /** What it has against it that the one in use has not; null: nothing, or there is none in use. */
  #against({ offered, flaws, notBefore, notAfter }: Candidate, now: number): Finding | null {
    if (this.current(now) === undefined) return null;
    const had = new Set(this.#flaws.map(({ code }) => code));
    return (
      this.#dated(offered, notBefore, notAfter, now) ??
      flaws.find(({ code }) => !had.has(code)) ??
      (this.#isUnstapled({ offered }, now) ? withoutStaple(offered) : null)
    );
  }

  /** One that asks for a staple waits for it, as long as another one is in use. */
  #isUnstapled({ offered }: Pick<Candidate, "offered">, now: number): boolean {
    const { mustStaple, certificateChain = "" } = offered as Partial<Credential>;
    const { value } = this.current(now) ?? {};
    return (
      mustStaple === true && value !== undefined && !isUnstapled(value) && !this.isStapled(certificateChain)
    );
  }

  #publish({ offered, content, warnings, flaws, notBefore, notAfter }: Candidate): void {
    const value = { ...offered, name: this.name, generation: ++this.#generation } as Published["value"];
    this.#published = { value, content, notBefore, notAfter };
    this.#warnings = warnings;
    this.#flaws = flaws;
    this.#rejected = null;
  }
}

/** Whether it is a certificate that asks for a staple, and has none. */
export function isUnstapled(value: Published["value"]): boolean {
  const { mustStaple, ocspStaple } = value as Partial<Credential>;
  return mustStaple === true && ocspStaple === undefined;
}

/** What a certificate is served with that asks for a staple, and has none. */
export function withoutStaple(offered: Offered): Finding {
  const [leaf] = (offered as Partial<Credential>).facts ?? [];
  const which = leaf === undefined ? "the certificate" : identified(leaf);
  const message = `${which} says that its server sends an OCSP staple (RFC 7633), and there is none: clients that heed that refuse it`;
  return { code: "ocsp-staple-missing", message };
}

/** Names the certificate of the chain that it is about. */
function dateFinding(
  name: string,
  offered: Offered,
  notBefore: number,
  notAfter: number,
  now: number,
): Finding | null {
  const at = (moment: number): string => new Date(moment).toISOString();
  const which = (isIt: (facts: CertificateFacts) => boolean): string => {
    const certificate = "facts" in offered ? (offered as TrustBundle).facts.find(isIt) : undefined;
    return certificate === undefined ? name : `${identified(certificate)} of ${name}`;
  };
  if (now > notAfter) {
    const message = `${which((it) => it.notAfter === notAfter)} expired at ${at(notAfter)}`;
    return { code: "certificate-expired", message };
  }
  if (now < notBefore) {
    const message = `${which((it) => it.notBefore === notBefore)} is valid from ${at(notBefore)}`;
    return { code: "certificate-not-yet-valid", message };
  }
  return null;
}

function usableFacts({ value }: Published): Omit<CredentialStatus & { usable: true }, "usable"> {
  const { spiffeId, domains, ...rest } = value as Partial<Credential & TrustBundle>;
  const refusedByEnvoy = rest.refusedByEnvoy ?? (isUnstapled(value) ? UNSTAPLED : undefined);
  const trustDomain = spiffeId === undefined ? null : trustDomainOf(spiffeId);
  return {
    ...(refusedByEnvoy === undefined ? {} : { refusedByEnvoy }),
    ...(trustDomain === null ? {} : { trustDomain }),
    ...(domains === undefined ? {} : { byTrustDomain: true }),
  };
}

const UNSTAPLED = "a certificate that asks for an OCSP staple (RFC 7633) without one";
