import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";

/** What a peer sent of its chain, in its order. */
export interface PresentedChain {
  readonly leaf: X509Certificate;
  readonly intermediates: readonly X509Certificate[];
}

/** Null: it has sent no certificate. A session that is resumed brings the leaf alone, or nothing. */
export function presentedChain(socket: TLSSocket): PresentedChain | null {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return null;
  const intermediates: X509Certificate[] = [];
  // Node links each certificate to the one that was sent after it, whoever issued it.
  for (let next = leaf.issuerCertificate; next !== undefined && intermediates.length < MOST; ) {
    intermediates.push(next);
    next = next.issuerCertificate;
  }
  return { leaf, intermediates };
}

/** OpenSSL takes 100 KiB of certificates; what comes after so many is no part of any chain. */
const MOST = 50;
