import type { AnchorSink } from "../../credentials/anchor-ledger.ts";
import type { Cluster } from "../../model/cluster.ts";
import { certificateName, fingerprint } from "../../x509/certificate.ts";
import type { VouchedClient } from "./tls/client-check.ts";
import type { VerifiedPeer } from "./upstream/generation.ts";

/** Tells which CA vouched for an upstream. */
export function tellUpstream(
  tell: AnchorSink | undefined,
  { name, tls }: Cluster,
  { anchor, chain }: VerifiedPeer,
): void {
  if (tell === undefined || tls.mode === "cleartext" || tls.verification.mode === "none") return;
  const peer = certificateName(chain.leaf);
  const { trust } = tls.verification;
  tell({ direction: "upstream", place: name, trust, anchor: fingerprint(anchor), peer });
}

/** Tells which CA vouched for a client, if it showed a certificate. */
export function tellClient(
  tell: AnchorSink | undefined,
  listener: string,
  vouched: VouchedClient | null,
): void {
  if (tell === undefined || vouched === null || vouched.clients.mode === "none") return;
  const { socket, clients, anchor } = vouched;
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return;
  tell({
    direction: "client",
    place: listener,
    trust: clients.trust,
    anchor: fingerprint(anchor),
    peer: certificateName(leaf),
  });
}
