import type { CredentialMaterial, CredentialOrigin } from "../../credentials/credential.ts";
import { diagnose } from "../../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition } from "../../diagnostics/diagnostic.ts";
import { secretCredentialName } from "../../resources/secret.ts";
import type { KnownSecret, Materials } from "./known-file.ts";
import type { SecretChanges } from "./known-files.ts";

/** Where Secrets go: the credential store. */
export interface CredentialSink {
  offer(name: string, material: CredentialMaterial, origin: CredentialOrigin): void;
  remove(name: string): void;
}

/**
 * What of the Secrets is offered to the store. Each goes there once, when its file is read; what is remembered here is its
 * digest. Of two different ones with one name neither is offered.
 */
export class SecretOffers {
  readonly #sink: CredentialSink;
  /** All that are written, by name; the first by place first. */
  readonly #copies = new Map<string, KnownSecret[]>();
  readonly #offered = new Map<string, Offered>();
  readonly #diagnostics = new Map<string, Diagnostic>();
  /** Names of which something has changed that the store may not know yet. */
  readonly #open = new Set<string>();

  constructor(sink: CredentialSink) {
    this.#sink = sink;
  }

  /**
   * Offers what is new or stands elsewhere, withdraws what is gone. `fresh` is what this round's readings came upon; a
   * Secret that is to be offered and is not among it (its duplicate went away) has its file read once more.
   */
  async update(
    changes: SecretChanges,
    fresh: Materials,
    readAgain: (path: string) => Promise<Materials>,
  ): Promise<Diagnostic[]> {
    this.#note(changes);
    const again = new Map<string, Promise<Materials>>();
    const find = async ({
      digest,
      source: { file },
    }: KnownSecret): Promise<CredentialMaterial | undefined> => {
      const known = fresh.get(digest);
      if (known !== undefined) return known;
      const reading = again.get(file) ?? readAgain(file);
      again.set(file, reading);
      return (await reading).get(digest);
    };
    const over: string[] = [];
    for (const name of [...this.#open]) {
      const settled = await this.#settle(name, find);
      if (settled !== "later") this.#open.delete(name);
      if (settled === "over") over.push(name);
    }
    // After what has come: a CA that stands under another name now is never missing.
    for (const name of over) if (this.#offered.delete(name)) this.#sink.remove(name);
    return [...this.#diagnostics.values()];
  }

  #note({ gone, come }: SecretChanges): void {
    for (const secret of gone) {
      const name = nameOf(secret);
      const left = this.#copies.get(name)?.filter((copy) => copy !== secret) ?? [];
      if (left.length === 0) this.#copies.delete(name);
      else this.#copies.set(name, left);
      this.#open.add(name);
    }
    for (const secret of come) {
      const name = nameOf(secret);
      this.#copies.set(name, [...(this.#copies.get(name) ?? []), secret].sort(byPlace));
      this.#open.add(name);
    }
  }

  /** `over`: it is not to be offered. `later`: its file could not be read, so the next round tries again. */
  async #settle(
    name: string,
    find: (secret: KnownSecret) => Promise<CredentialMaterial | undefined>,
  ): Promise<"offered" | "over" | "later"> {
    const copies = this.#copies.get(name) ?? [];
    const [first] = copies;
    const same = copies.every((copy) => copy.digest === first?.digest);
    this.#report(name, copies, same);
    if (first === undefined || !same) return "over";
    const { digest, source } = first;
    const before = this.#offered.get(name);
    if (before?.digest === digest && isSamePlace(before.source, source)) return "offered";
    const material = await find(first);
    if (material !== undefined) {
      this.#sink.offer(name, material, { subject: subjectOf(first), source });
      this.#offered.set(name, { digest, source });
      return "offered";
    }
    // The store has it, and only its place could not be told; or what it has is no more.
    if (before !== undefined && before.digest !== digest) {
      this.#offered.delete(name);
      this.#sink.remove(name);
    }
    return "later";
  }

  #report(name: string, copies: readonly KnownSecret[], same: boolean): void {
    const [first] = copies;
    if (first === undefined || copies.length === 1) {
      this.#diagnostics.delete(name);
      return;
    }
    const places = copies.map((copy) => `${copy.source.file}:${copy.source.line}`).join(", ");
    const message = `Secret ${first.name} stands at ${places}`;
    const at = { subject: subjectOf(first), source: first.source, message };
    this.#diagnostics.set(name, diagnose(same ? "object-repeated" : "object-duplicate", at));
  }
}

interface Offered {
  readonly digest: string;
  readonly source: SourcePosition;
}

function nameOf({ namespace, name }: KnownSecret): string {
  return secretCredentialName(namespace, name);
}

function subjectOf({ namespace, name }: KnownSecret): CredentialOrigin["subject"] {
  return { kind: "Secret", namespace, name };
}

function byPlace({ source: a }: KnownSecret, { source: b }: KnownSecret): number {
  return a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column;
}

function isSamePlace(a: SourcePosition, b: SourcePosition): boolean {
  return a.file === b.file && a.line === b.line && a.column === b.column;
}
