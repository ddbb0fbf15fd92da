import type { CredentialMaterial, CredentialOrigin } from "../../credentials/credential.ts";
import { diagnose } from "../../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition } from "../../diagnostics/diagnostic.ts";
import { secretCredentialName } from "../../resources/secret.ts";
import type { KnownSecret, Materials } from "./known-file.ts";

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
  #offered = new Map<string, Offered>();

  constructor(sink: CredentialSink) {
    this.#sink = sink;
  }

  /**
   * Offers what is new or stands elsewhere, withdraws what is gone. `fresh` is what this round's readings came upon; a
   * Secret that is to be offered and is not among it (its duplicate went away) has its file read once more.
   */
  async update(
    secrets: readonly KnownSecret[],
    fresh: Materials,
    readAgain: (path: string) => Promise<Materials>,
  ): Promise<Diagnostic[]> {
    const diagnostics: Diagnostic[] = [];
    const now = new Map<string, Offered>();
    const again = new Map<string, Promise<Materials>>();
    for (const [name, copies] of byName(secrets)) {
      const [first] = copies;
      const { digest, source } = first;
      const subject = { kind: "Secret", namespace: first.namespace, name: first.name };
      const same = copies.every((copy) => copy.digest === digest);
      if (copies.length > 1) {
        const places = copies.map((copy) => `${copy.source.file}:${copy.source.line}`).join(", ");
        const message = `Secret ${first.name} stands at ${places}`;
        diagnostics.push(
          diagnose(same ? "object-repeated" : "object-duplicate", { subject, source, message }),
        );
      }
      if (!same) continue;
      const before = this.#offered.get(name);
      if (before !== undefined && before.digest === digest && isSamePlace(before.source, source)) {
        now.set(name, before);
        continue;
      }
      let material = fresh.get(digest);
      if (material === undefined) {
        const reading = again.get(source.file) ?? readAgain(source.file);
        again.set(source.file, reading);
        material = (await reading).get(digest);
      }
      if (material !== undefined) {
        now.set(name, { digest, source });
        this.#sink.offer(name, material, { subject, source });
      } else if (before?.digest === digest) {
        // The store has it; only its place could not be told. The next round tries again.
        now.set(name, before);
      }
    }
    for (const name of this.#offered.keys()) if (!now.has(name)) this.#sink.remove(name);
    this.#offered = now;
    return diagnostics;
  }
}

interface Offered {
  readonly digest: string;
  readonly source: SourcePosition;
}

function byName(secrets: readonly KnownSecret[]): Map<string, [KnownSecret, ...KnownSecret[]]> {
  const groups = new Map<string, [KnownSecret, ...KnownSecret[]]>();
  for (const secret of secrets) {
    const name = secretCredentialName(secret.namespace, secret.name);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [secret]);
    else group.push(secret);
  }
  return groups;
}

function isSamePlace(a: SourcePosition, b: SourcePosition): boolean {
  return a.file === b.file && a.line === b.line && a.column === b.column;
}
