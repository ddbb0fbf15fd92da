import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type Admitted, refuseUnreadable } from "./admission.ts";
import type {
  Credential,
  CredentialChange,
  CredentialMaterial,
  CredentialOrigin,
  CredentialReader,
  CredentialStatuses,
  RevocationBundle,
  TrustBundle,
} from "./credential.ts";
import { admitRevocationLists } from "./crl-admission.ts";
import { DEFAULT_EXPIRY_WARNINGS, type ExpiryWarnings } from "./expiry.ts";
import type { Face, Offered, Published } from "./face.ts";
import { faceFindings } from "./face-findings.ts";
import { Faces } from "./faces.ts";
import type { Verdicts } from "./follower.ts";
import { IssuerTroubles } from "./issuer-troubles.ts";
import { Listeners } from "./listeners.ts";
import { type CredentialListing, listingOf } from "./listing.ts";
import { admitMaterial, digestOf, IDENTITY } from "./material.ts";
import { RetiredAnchors } from "./retired-anchors.ts";
import { admitStaple, stapleFor, stapleOf, strayStaples } from "./staple.ts";

export type { CredentialOrigin } from "./credential.ts";
import { admitTrust, admitTrustDomains } from "./trust-admission.ts";

/**
 * The one home of key bytes. Each name has three faces: a credential, a trust bundle, revocation lists; each is published with a
 * generation once it is admitted, withdrawn when it is removed or out of date, and never replaced by a worse one.
 */
export class CredentialStore implements CredentialReader {
  readonly #clock: Clock;
  readonly #expiryWarnings: ExpiryWarnings;
  readonly #faces = new Faces();
  readonly #explicitTrust = new Set<string>();
  readonly #listeners: Listeners;
  readonly #issuers = new IssuerTroubles();
  readonly #retiredAnchors = new RetiredAnchors();
  /** Certificates with their keys that came without a CA, to be judged again when that comes. */
  readonly #delivered = new Map<string, CredentialMaterial>();
  #statusEpoch = 0;

  readonly #isStapled = (chain: string): boolean =>
    stapleFor(chain, this.#faces, this.#clock.now()) !== undefined;

  constructor(clock: Clock, logger?: Logger, expiryWarnings = DEFAULT_EXPIRY_WARNINGS) {
    this.#clock = clock;
    this.#listeners = new Listeners(logger);
    this.#expiryWarnings = expiryWarnings;
  }

  /** Takes what a source found under `name`: the same bytes change nothing, a bad one never replaces a good one. */
  offer(name: string, material: CredentialMaterial, origin: CredentialOrigin): void {
    const chain = material.certificateChain;
    // A chain by itself is how 1.14 writes a CA bundle; only beside a key or a CA does it lack one.
    const isBundle =
      material.privateKey === undefined &&
      material.trustAnchors === undefined &&
      material.unreadable === undefined &&
      this.#current("credential", name) === undefined;
    if ((chain === undefined && material.privateKey === undefined) || isBundle)
      this.#remove("credential", name);
    else this.#offerIdentity(name, material, origin);
    // The previous certificate stays with its CA: a bad replacement does not turn verification off.
    const isKept =
      this.#current("credential", name) !== undefined &&
      this.#faces.get("credential", name)?.rejected !== null;
    // 1.14 reads a `ca_secret` from its tls.crt, so a chain can be asked for as trust too; only what asks pays for it.
    const part = material.trustAnchors === undefined ? "certificateChain" : "trustAnchors";
    if (!isKept || part === "trustAnchors" || !this.#explicitTrust.has(name))
      this.#offerTrust(name, material, origin, part);
    // After the CAs: one that is gone takes its lists along.
    this.#offerPart("crl", name, material, origin);
    this.#offerPart("staple", name, material, origin);
  }

  /**
   * Takes a certificate with its key, or a CA with its lists, from an issuer that delivers them one by one. What came
   * before of the other is judged anew, as they are a pair.
   */
  deliver(name: string, material: CredentialMaterial, origin: CredentialOrigin): Verdicts {
    if (material.trustAnchors === undefined) this.#delivered.set(name, material);
    else {
      this.#offerTrust(name, material, origin, "trustAnchors");
      this.#offerPart("crl", name, material, origin);
    }
    const identity = this.#delivered.get(name);
    const trustAnchors = this.trust(name)?.anchors.join("");
    const beside = this.hasTrustAnchors(name) && trustAnchors !== undefined ? { trustAnchors } : {};
    if (identity !== undefined) this.#offerIdentity(name, { ...identity, ...beside }, origin);
    const against = (kind: Face["kind"]): string | null =>
      this.#faces.get(kind, name)?.refusal(this.#clock.now()) ?? null;
    return { certificate: against("credential"), ca: against("trust") ?? against("crl") };
  }

  /** The source has it no more: withdrawn at once. */
  remove(name: string): void {
    this.#explicitTrust.delete(name);
    this.#delivered.delete(name);
    this.#issuers.delete(name);
    this.#remove("credential", name);
    this.#remove("trust", name);
    this.#remove("crl", name);
    this.#remove("staple", name);
  }

  /**
   * Tells that the issuer of `name` does not deliver, or with null that it does again. What was delivered stays in use
   * for as long as its dates allow.
   */
  reportIssuer(name: string, origin: CredentialOrigin, trouble: string | null): void {
    if (!this.#issuers.set(name, origin, trouble)) return;
    this.#statusEpoch += 1;
    this.#listeners.tellOfFindings();
  }

  credential(name: string): Credential | undefined {
    return this.#current("credential", name)?.value as Credential | undefined;
  }

  trust(name: string): TrustBundle | undefined {
    return this.#current("trust", name)?.value as TrustBundle | undefined;
  }

  crl(name: string): RevocationBundle | undefined {
    return this.#current("crl", name)?.value as RevocationBundle | undefined;
  }

  hasTrustAnchors(name: string): boolean {
    return this.#explicitTrust.has(name);
  }

  /** What compile may know. Its methods answer for the two faces as the reader's do, in status instead of bytes. */
  get statuses(): CredentialStatuses {
    return {
      credential: (name) =>
        this.#faces.get("credential", name)?.status(this.#clock.now()) ?? this.#issuers.status(name),
      trust: (name) =>
        this.#faces.get("trust", name)?.status(this.#clock.now()) ?? this.#issuers.status(name),
      crl: (name) => this.#faces.get("crl", name)?.status(this.#clock.now()),
      hasTrustAnchors: (name) => this.hasTrustAnchors(name),
    };
  }

  /** Another number whenever `statuses` may say something else: what was compiled at the same one would be compiled the same. */
  get statusEpoch(): number {
    return this.#statusEpoch;
  }

  onChange(listener: (change: CredentialChange) => void): () => void {
    return this.#listeners.addOfChanges(listener);
  }

  /** Told whenever `diagnostics` may say something else, also where nothing changes for who uses a credential. */
  onFindings(listener: () => void): () => void {
    return this.#listeners.addOfFindings(listener);
  }

  /** Findings about the credentials offered, and about those that end soon. */
  diagnostics(): Diagnostic[] {
    const now = this.#clock.now();
    const ofFaces: Diagnostic[] = [];
    this.#faces.forEach((face) => {
      // A chain nobody uses as trust is no bad trust bundle.
      if (face.kind === "trust" && !this.#explicitTrust.has(face.name)) return;
      const findings = faceFindings(face, now, this.#expiryWarnings);
      if (findings.length > 0) ofFaces.push(...findings);
    });
    const ofIssuers = this.#issuers.findings(
      (name) => this.credential(name) !== undefined || this.trust(name) !== undefined,
    );
    return [...ofFaces, ...strayStaples(this.#faces, now), ...ofIssuers];
  }

  /** What the issuer of a name fails at; null: nothing, or it has none. */
  issuerTrouble(name: string): string | null {
    return this.#issuers.of(name);
  }

  /** Where what stands under a name was written. */
  originOf(name: string): CredentialOrigin | undefined {
    return KINDS.map((kind) => this.#faces.get(kind, name)).find((face) => face !== undefined)?.origin;
  }

  all(): CredentialListing[] {
    const now = this.#clock.now();
    return [...this.#faces]
      .filter(
        ({ kind, name, published }) =>
          kind !== "trust" || published !== null || this.#explicitTrust.has(name),
      )
      .map((face) => listingOf(face, now));
  }

  close(): void {
    for (const face of this.#faces) face.cancelTimer();
    this.#listeners.clear();
  }

  #offerIdentity(name: string, material: CredentialMaterial, origin: CredentialOrigin): void {
    const { trustAnchors: _, ...alone } = material;
    // The CA beside it says whether its chain is whole.
    const judged = material.anchorsAreOfClients === true ? alone : material;
    this.#change(this.#faceFor("credential", name, origin), (face, now) =>
      face.offer(
        { digest: digestOf(judged, [...IDENTITY, "trustAnchors"]), content: digestOf(judged, IDENTITY) },
        () => admitMaterial(judged, now),
        now,
      ),
    );
  }

  /** What stands by itself: nothing else of the offer says anything about it. */
  #offerPart(
    kind: "crl" | "staple",
    name: string,
    material: CredentialMaterial,
    origin: CredentialOrigin,
  ): void {
    const part = kind === "crl" ? "crl" : "ocspStaple";
    const text = material[part];
    if (text === undefined) {
      this.#remove(kind, name);
      return;
    }
    const admit = (): Admitted<Offered> =>
      kind === "crl"
        ? admitRevocationLists(text, this.crl(name), this.#retiredAnchors, this.#clock.now())
        : admitStaple(text);
    const digest = digestOf(material, [part]);
    this.#change(this.#faceFor(kind, name, origin), (face, now) =>
      face.offer({ digest, content: digest }, () => refuseUnreadable(material, [part]) ?? admit(), now),
    );
  }

  #offerTrust(
    name: string,
    material: CredentialMaterial,
    origin: CredentialOrigin,
    part: "certificateChain" | "trustAnchors",
  ): void {
    const explicit = part === "trustAnchors";
    const anchors = material[part];
    const { trustDomains } = material;
    const known = this.#faces.get("trust", name);
    // A CA taken away must not live on as the "previous one" of a chain, nor the other way round.
    const another = known !== undefined && explicit !== this.#explicitTrust.has(name);
    if (explicit) this.#explicitTrust.add(name);
    else this.#explicitTrust.delete(name);
    if (anchors === undefined) {
      this.#remove("trust", name);
      return;
    }
    this.#change(
      this.#faceFor("trust", name, origin),
      (face, now) => {
        if (another) face.withdraw();
        const digest = digestOf(material, [part]);
        face.offer(
          { digest, content: digest },
          () =>
            refuseUnreadable(material, [part]) ??
            (trustDomains === undefined ? admitTrust(anchors, now) : admitTrustDomains(trustDomains, now)),
          now,
        );
      },
      another,
    );
  }

  #current(kind: Face["kind"], name: string): Published | undefined {
    return this.#faces.get(kind, name)?.current(this.#clock.now());
  }

  #faceFor(kind: Face["kind"], name: string, origin: CredentialOrigin): Face {
    if (this.#faces.get(kind, name) === undefined) this.#statusEpoch += 1;
    const face = this.#faces.made(kind, name, origin);
    face.isStapled = this.#isStapled;
    return face;
  }

  #remove(kind: Face["kind"], name: string): void {
    const face = this.#faces.get(kind, name);
    if (face === undefined) return;
    this.#statusEpoch += 1;
    this.#faces.delete(face);
    if (face.announced !== 0) this.#emit(face, "unusable");
    if (kind === "staple") this.#attachStaples();
  }

  /** A staple is of the certificate that it is about, whoever names either. */
  #attachStaples(): void {
    for (const face of this.#faces)
      if (face.kind === "credential") this.#change(face, (each, now) => each.tick(now));
  }

  /**
   * Changes a face and tells the listeners what came of it. `recompile`: what compile knows beside the status has
   * changed, so the event must not be `rotated`, and there must be one.
   */
  #change(face: Face, change: (face: Face, now: number) => void, recompile = false): void {
    const now = this.#clock.now();
    // By the clock too: between its end and a late timer it was unusable to whoever asked.
    const usableBefore = face.announced !== 0 && face.current(now) !== undefined;
    const before = JSON.stringify(face.status(now));
    change(face, now);
    if (face.kind === "credential") face.attach(stapleOf(face, this.#faces, now));
    this.#schedule(face, now);
    const status = JSON.stringify(face.status(now));
    if (status !== face.said) this.#statusEpoch += 1;
    face.said = status;
    const told = face.announced;
    face.announced = face.current(now) === undefined ? 0 : face.generation;
    if (face.announced === 0) {
      if (told !== 0 || recompile) this.#emit(face, "unusable");
    } else if (!usableBefore || recompile || status !== before) this.#emit(face, "usable");
    else if (face.announced !== told) this.#emit(face, "rotated");
    // What a CA says of its certificates is believed, or not, once it is known.
    const decides = face.kind === "staple" || (face.kind === "trust" && this.#faces.staples.size > 0);
    if (decides && face.announced !== told) this.#attachStaples();
    this.#listeners.tellOfFindings();
  }

  #schedule(face: Face, now: number): void {
    face.cancelTimer();
    const next = face.nextChange(now);
    face.cancelTimer =
      next === undefined
        ? () => {}
        : this.#clock.after(Math.min(next - now, LONGEST_WAIT_MS), () =>
            this.#change(face, (due, then) => due.tick(then)),
          );
  }

  #emit(face: Face, event: CredentialChange["event"]): void {
    if (face.kind === "trust") this.#retiredAnchors.note(face.name, this.trust(face.name));
    if (event !== "rotated") this.#statusEpoch += 1;
    this.#listeners.tell({ name: face.name, kind: face.kind, event, generation: face.generation });
  }
}

const KINDS: readonly Face["kind"][] = ["credential", "trust", "crl"];
/** Timers do not follow the wall clock when it is set (a machine that boots in 1970), so they look at it now and then. */
const LONGEST_WAIT_MS = 60_000;
