import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { AnchorSink } from "../../credentials/anchor-ledger.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { ClientAuth } from "../../model/tls.ts";
import { certificateName, fingerprint } from "../../x509/certificate.ts";
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
  {
    socket,
    clients,
    anchor,
  }: {
    readonly socket: TLSSocket;
    readonly clients: ClientAuth;
    readonly anchor: X509Certificate | undefined;
  },
): void {
  if (tell === undefined || anchor === undefined || clients.mode === "none") return;
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return;
  const { trust } = clients;
  tell({
    direction: "client",
    place: listener,
    trust,
    anchor: fingerprint(anchor),
    peer: certificateName(leaf),
  });
}
