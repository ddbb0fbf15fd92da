import { hash } from "node:crypto";
import type { Credential, RevocationBundle, TrustBundle } from "../../credentials/credential.ts";

type Held = Credential | TrustBundle | RevocationBundle;

/**
 * Tells what the store has by a name from whatever else it may have by it. It is of the content, not a count of this process: what is replaced
 * while no control plane runs has to differ for an Envoy that was fed by the one before, and what is the same to be the same on another one.
 */
export function credentialDigest(held: Held): string {
  let known = DIGESTS.get(held);
  if (known === undefined) {
    known = hash("sha256", contentOf(held), "base64url").slice(0, 22);
    DIGESTS.set(held, known);
  }
  return known;
}

/** A thousand are asked for at each change. */
const DIGESTS = new WeakMap<Held, string>();

/** What upstreams are shown, or judged by: no staple is, and each key has its certificate. */
function contentOf(held: Held): string {
  if ("certificateChain" in held) return held.certificateChain;
  if ("pem" in held) return held.pem.join("\n");
  return JSON.stringify([held.anchors, held.domains ?? null]);
}
