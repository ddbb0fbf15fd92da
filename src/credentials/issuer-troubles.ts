import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { CredentialOrigin, CredentialStatus } from "./credential.ts";

/** What issuers are at a loss about, by the name that they deliver. */
export class IssuerTroubles {
  readonly #troubles = new Map<string, { readonly origin: CredentialOrigin; readonly trouble: string }>();

  /** What the issuer of a name fails at; null: nothing, or it has none. */
  of(name: string): string | null {
    return this.#troubles.get(name)?.trouble ?? null;
  }

  /** Whether anything has changed; null: it delivers again, or is gone. */
  set(name: string, origin: CredentialOrigin, trouble: string | null): boolean {
    if (trouble === null) return this.#troubles.delete(name);
    this.#troubles.set(name, { origin, trouble });
    return true;
  }

  delete(name: string): void {
    this.#troubles.delete(name);
  }

  /** Of a name under which nothing was delivered yet. */
  status(name: string): CredentialStatus | undefined {
    const trouble = this.of(name);
    return trouble === null ? undefined : { usable: false, code: "issuer-unavailable", reason: trouble };
  }

  /** `isInUse`: something that was delivered under the name before. */
  findings(isInUse: (name: string) => boolean): Diagnostic[] {
    return [...this.#troubles].map(([name, { origin, trouble }]) =>
      diagnose("issuer-unavailable", {
        ...origin,
        message: trouble,
        ...(isInUse(name) ? { effect: "kept-previous" as const } : {}),
      }),
    );
  }
}
