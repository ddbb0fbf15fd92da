import type { KnownCode } from "../diagnostics/catalogue.ts";
import type { SourcePosition } from "../diagnostics/diagnostic.ts";
import type { CredentialMaterial, MaterialPart } from "./credential.ts";

/** A finding about a credential: the code and one sentence that never quotes key material. */
export interface Finding {
  readonly code: KnownCode;
  readonly message: string;
  /** The place, where it is more exact than that of the credential's origin. */
  readonly source?: SourcePosition;
  /** What to do, where that is more exact than what the code says. */
  readonly remedy?: string;
}

/** What comes of an offer: what may be used, and what is to be said of it, or why it may not. */
export type Admitted<T> =
  | {
      readonly ok: true;
      readonly value: T;
      readonly warnings: readonly Finding[];
      /** Warnings about what makes it worse than what lacks them, and so no replacement for that. */
      readonly flaws?: readonly Finding[];
    }
  | { readonly ok: false; readonly finding: Finding };

/** A refusal, for one reason. */
export function reject(code: KnownCode, message: string): { ok: false; finding: Finding } {
  return { ok: false, finding: { code, message } };
}

/** Refuses what could not be read, for that reason and not for being empty; null where all of these parts were read. */
export function refuseUnreadable(
  { unreadable }: CredentialMaterial,
  parts: readonly MaterialPart[],
): { ok: false; finding: Finding } | null {
  const found = parts.map((part) => unreadable?.[part]).find((reason) => reason !== undefined);
  return found === undefined
    ? null
    : { ok: false, finding: { code: "certificate-file-unreadable", ...found } };
}
