import { constants } from "node:crypto";
import { DEFAULT_CIPHERS, type SecureVersion } from "node:tls";
import type { TlsParameters, TlsVersion } from "./tls.ts";

/** What Node's TLS takes for a model's parameters, either way. */
export interface ContextParameters {
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  readonly ciphers: string;
  readonly ecdhCurve: string;
  /** A trust bundle is a list of anchors (RFC 5280 §6.1.1 d): an intermediate given as one is believed as such. */
  readonly allowPartialTrustChain: true;
  /** No renegotiation up to TLS 1.2: a peer is looked at once, and could show another certificate then. Envoy has none either. */
  readonly secureOptions: number;
}

/** A model's parameters as `tls.createSecureContext` takes them. */
export function contextParameters(parameters: TlsParameters): ContextParameters {
  return {
    minVersion: VERSIONS[parameters.minVersion],
    maxVersion: VERSIONS[parameters.maxVersion],
    ciphers: cipherList(parameters),
    ecdhCurve: parameters.groups.length === 0 ? DEFAULT_GROUPS : parameters.groups.join(":"),
    allowPartialTrustChain: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** As the model has it, or HTTP/1.1: the one protocol that this engine speaks. None where the bytes are none of its business. */
export function alpnProtocols({ alpn, carries }: TlsParameters): string[] {
  return alpn.length === 0 && carries === undefined ? ["http/1.1"] : [...alpn];
}

/** The hybrid group first (draft-ietf-tls-ecdhe-mlkem), then what every peer of the last ten years has. */
const DEFAULT_GROUPS = "X25519MLKEM768:X25519:P-256:P-384";
/**
 * RFC 8446 §9.1, the one that every peer must have first: 128 bits are as far out of reach as 256, and cost a quarter less
 * (Go and Mozilla's recommendation order them so too; OpenSSL does not).
 */
const TLS13_SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
const DEFAULT_SUITES = [
  ...TLS13_SUITES,
  ...DEFAULT_CIPHERS.split(":").filter((name) => !TLS13_SUITES.includes(name)),
].join(":");

const VERSIONS: Readonly<Record<TlsVersion, SecureVersion>> = {
  "v1.0": "TLSv1",
  "v1.1": "TLSv1.1",
  "v1.2": "TLSv1.2",
  "v1.3": "TLSv1.3",
};

function cipherList({ cipherSuites, minVersion, maxVersion }: TlsParameters): string {
  const obsolete = minVersion === "v1.0" || minVersion === "v1.1";
  const ciphers = cipherSuites.length === 0 && obsolete ? ["DEFAULT"] : [...cipherSuites];
  if (ciphers.length === 0) return DEFAULT_SUITES;
  // 1.14's list speaks of TLS 1.2 and below; without a 1.3 suite in it Node would leave TLS 1.3 out altogether.
  if (maxVersion === "v1.3" && !ciphers.some((name) => name.startsWith("TLS_")))
    ciphers.unshift(...TLS13_SUITES);
  // OpenSSL's security level 1 and above refuse the signatures that TLS 1.0 and 1.1 need.
  if (obsolete) ciphers.push("@SECLEVEL=0");
  return ciphers.join(":");
}
