import type { Credential, CredentialReader, TrustBundle } from "../credentials/credential.ts";
import { alpnProtocols, contextParameters } from "../model/openssl.ts";
import type { Cluster } from "../model/cluster.ts";
import type { TlsParameters, UpstreamTls } from "../model/tls.ts";

/** What a handshake is made with, as the engine would make it. */
export interface Offer {
  readonly parameters: TlsParameters;
  readonly alpn: readonly string[];
  /** Null: no server name is sent. */
  readonly serverName: string | null;
  /** Null: there is none to present. */
  readonly certificate: { readonly chain: string; readonly key: string } | null;
  /** For OpenSSL's opinion, which is reported beside ours and decides nothing. */
  readonly anchors: readonly string[];
  /** Sent before TLS begins: a PROXY protocol header. */
  readonly preface?: Buffer;
  /** An OCSP staple is asked for; the gateway asks no upstream for one. */
  readonly asksStaple?: true;
  /** In OpenSSL's words and instead of what `parameters` make, to find out what a peer would have taken. */
  readonly instead?: {
    readonly ciphers?: string;
    readonly groups?: string;
    readonly signatures?: string;
  };
}

export type OriginateTls = Extract<UpstreamTls, { mode: "originate" }>;

/** What the store has of that a cluster needs, or what it lacks: without it the gateway does not even dial. */
export interface Equipment {
  readonly credential: Credential | undefined;
  readonly trust: TrustBundle | undefined;
  /** Names in the store that are needed and not usable. */
  readonly missing: readonly string[];
}

/** What the gateway would present and trust at this moment. */
export function equipmentOf(tls: OriginateTls, credentials: CredentialReader): Equipment {
  const credential = tls.credential === undefined ? undefined : credentials.credential(tls.credential);
  const { verification } = tls;
  const trust = verification.mode === "none" ? undefined : credentials.trust(verification.trust);
  const missing = [
    ...(tls.credential !== undefined && credential === undefined ? [tls.credential] : []),
    ...(verification.mode !== "none" && (trust === undefined || trust.anchors.length === 0)
      ? [verification.trust]
      : []),
  ];
  return { credential, trust, missing };
}

/** What the gateway would offer a cluster's peers with it. */
export function offerOf(
  { protocol }: Pick<Cluster, "protocol">,
  tls: OriginateTls,
  { credential, trust }: Equipment,
): Offer {
  return {
    parameters: tls.parameters,
    // What is offered is what will be spoken on the connection (HTTP/2: on Envoy).
    alpn: protocol === "h2" ? ["h2"] : alpnProtocols(tls.parameters),
    serverName: tls.sni ?? null,
    certificate:
      credential === undefined ? null : { chain: credential.certificateChain, key: credential.privateKey },
    anchors: trust?.anchors ?? [],
  };
}

/** For `createSecureContext`. */
export function contextOptions(offer: Offer): Record<string, unknown> {
  const { parameters, certificate, anchors, instead = {} } = offer;
  const { ciphers, ecdhCurve, ...rest } = contextParameters(parameters);
  return {
    ...rest,
    ciphers: instead.ciphers ?? ciphers,
    ecdhCurve: instead.groups ?? ecdhCurve,
    ...(instead.signatures === undefined ? {} : { sigalgs: instead.signatures }),
    ...(certificate === null ? {} : { cert: certificate.chain, key: certificate.key }),
    // Without any, Node would take the public CAs.
    ...(anchors.length === 0 ? {} : { ca: [...anchors] }),
  };
}
