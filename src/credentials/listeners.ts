import type { Logger } from "../telemetry/logger.ts";
import type { CredentialChange } from "./credential.ts";

/** Who is told of changes, and of findings. One that fails at a change keeps no other from being told. */
export class Listeners {
  readonly #logger: Logger | undefined;
  readonly #ofChanges = new Set<(change: CredentialChange) => void>();
  readonly #ofFindings = new Set<() => void>();

  constructor(logger: Logger | undefined) {
    this.#logger = logger;
  }

  /** Returns the function that ends it. */
  addOfChanges(listener: (change: CredentialChange) => void): () => void {
    this.#ofChanges.add(listener);
    return () => this.#ofChanges.delete(listener);
  }

  addOfFindings(listener: () => void): () => void {
    this.#ofFindings.add(listener);
    return () => this.#ofFindings.delete(listener);
  }

  tell(change: CredentialChange): void {
    for (const listener of this.#ofChanges) {
      try {
        listener(change);
      } catch (error) {
        this.#logger?.error(
          { err: error, credential: change.name },
          "a listener of the credential store failed",
        );
      }
    }
  }

  tellOfFindings(): void {
    for (const listener of this.#ofFindings) listener();
  }

  clear(): void {
    this.#ofChanges.clear();
    this.#ofFindings.clear();
  }
}
