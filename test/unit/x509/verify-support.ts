import assert from "node:assert/strict";
import type { CertificateFault } from "../../../src/x509/faults.ts";
import { type PeerExpectation, type PeerVerdict, verifyPeer } from "../../../src/x509/verify.ts";
import { type Issued, type Issuing, issue, issueCa } from "../../support/issuing.ts";

export const NOW = Date.now();
export const DAY = 86_400_000;

/** Keys are what takes time, so most tests share these. */
export const ROOT = issueCa({ subject: "root" });
export const MIDDLE = issueCa({ subject: "middle", by: ROOT });

/** A leaf of the shared root, unless told otherwise. */
export function leafOf(options: Issuing = {}): Issued {
  return issue({ by: ROOT, ...options });
}

/** The verdict about `chain[0]`, sent with the others, where the root is trusted and a server is dialled as peer.example. */
export function judge(
  chain: readonly Issued[],
  { anchors = [ROOT], now = NOW, ...expected }: Partial<Omit<PeerExpectation, "anchors">> & Judging = {},
): PeerVerdict {
  const [leaf, ...sent] = chain.map(({ certificate }) => certificate);
  assert.ok(leaf);
  const named =
    expected.identities === undefined && expected.usage !== "client" ? { name: "peer.example" } : {};
  const whole = {
    usage: "server" as const,
    ...named,
    ...expected,
    anchors: anchors.map((it) => it.certificate),
  };
  return verifyPeer(leaf, sent, whole, now);
}

interface Judging {
  readonly anchors?: readonly Issued[];
  readonly now?: number;
}

export function assertAccepted(verdict: PeerVerdict): asserts verdict is Extract<PeerVerdict, { ok: true }> {
  assert.ok(verdict.ok, verdict.ok ? "" : `${verdict.fault}: ${verdict.message}`);
}

/** Of `culprit`, where one is given. */
export function assertFault(
  verdict: PeerVerdict,
  fault: CertificateFault,
  says: RegExp,
  culprit?: Issued,
): void {
  assert.ok(!verdict.ok, "it was accepted");
  assert.equal(verdict.fault, fault, verdict.message);
  assert.match(verdict.message, says);
  if (culprit !== undefined)
    assert.equal(verdict.sha256, culprit.certificate.fingerprint256.replaceAll(":", "").toLowerCase());
}
