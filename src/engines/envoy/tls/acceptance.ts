import { hash } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import type { CredentialReader, RevocationBundle } from "../../../credentials/credential.ts";
import type { TcpTls } from "../../../model/tcp.ts";
import { secretParts, trustSecret } from "../secrets.ts";

/** Tells apart whom the CAs and lists of an SDS secret accept; null: it has neither. */
export type Acceptance = (secret: string) => string | null;

/** The SDS secret that a filter chain's clients are checked by; null: they are not. */
export function clientSecret(tls: TcpTls): string | null {
  if (tls.mode !== "terminate" || tls.clients.mode === "none") return null;
  return trustSecret(tls.clients.trust, tls.clients.rules);
}

/**
 * What a chain's metadata says of whom it accepts. A new secret alone leaves the connections of clients that it refuses as they are; a chain
 * that differs replaces the old one, whose connections are told to close with their next response, and those of other chains are not.
 * It is of the CAs and of what is revoked: a list that is only renewed changes nothing.
 */
export function acceptanceMetadata(tls: TcpTls, acceptance: Acceptance | undefined): JsonObject {
  const secret = clientSecret(tls);
  const accepted = secret === null ? null : (acceptance?.(secret) ?? null);
  return accepted === null ? {} : { accepted };
}

/** As the credentials stand at each question. */
export function acceptanceIn(credentials: Pick<CredentialReader, "trust" | "crl">): Acceptance {
  return (secret) => {
    const parts = secretParts(secret);
    if (parts === null || !("trust" in parts)) return null;
    const trust = credentials.trust(parts.trust);
    if (trust === undefined) return null;
    const lists = parts.crl === undefined ? undefined : credentials.crl(parts.crl);
    const anchors = trust.facts.map(({ sha256 }) => sha256).sort();
    return digest([
      JSON.stringify(trust.domains ?? null),
      ...anchors,
      lists === undefined ? "" : revoked(lists),
    ]);
  };
}

/** Of a list with a quarter of a million entries it is made once. */
const REVOKED = new WeakMap<RevocationBundle, string>();

function revoked(bundle: RevocationBundle): string {
  let known = REVOKED.get(bundle);
  if (known === undefined) {
    const ofEach = [...bundle.lists.ofIssuer].flatMap(([issuer, lists]) =>
      lists.map((list) => digest([issuer, ...list.revoked])),
    );
    known = digest(ofEach.sort());
    REVOKED.set(bundle, known);
  }
  return known;
}

function digest(parts: readonly string[]): string {
  return hash("sha256", parts.join("\n"), "hex").slice(0, 32);
}
