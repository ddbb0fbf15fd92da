import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TlsParameters, TlsVersion } from "../../../model/tls.ts";
import { isSuite13 } from "../../../model/tls-capabilities.ts";
import {
  type TlsParametersSchema,
  TlsParameters_TlsProtocol as Protocol,
} from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import type { SdsSecretConfigSchema } from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { ADS } from "../config-source.ts";

/** A model's parameters in Envoy's words, either way. What Envoy cannot do is refused before: model/tls-capabilities.ts. */
export function tlsParameters(parameters: TlsParameters): MessageInitShape<typeof TlsParametersSchema> {
  const { minVersion, maxVersion, cipherSuites, groups } = parameters;
  // Suites of TLS 1.3 alone leave nothing to agree on below it.
  const only13 = cipherSuites.length > 0 && cipherSuites.every(isSuite13);
  return {
    tlsMinimumProtocolVersion: VERSIONS[only13 && maxVersion === "v1.3" ? "v1.3" : minVersion],
    tlsMaximumProtocolVersion: VERSIONS[maxVersion],
    cipherSuites: ciphers(cipherSuites, minVersion),
    ecdhCurves: groups.length === 0 ? [...DEFAULT_GROUPS] : [...groups],
    signatureAlgorithms: [...SIGNATURE_ALGORITHMS],
  };
}

/** As the model has it, or HTTP/1.1, as on the other engine. None where the bytes are none of the gateway's business. */
export function alpnProtocols({ alpn, carries }: TlsParameters): string[] {
  return alpn.length === 0 && carries === undefined ? ["http/1.1"] : [...alpn];
}

/** A certificate with its key, or trust anchors, by name: never inline. */
export function sdsSecret(name: string): MessageInitShape<typeof SdsSecretConfigSchema> {
  return { name, sdsConfig: ADS };
}

/** The hybrid group first (draft-ietf-tls-ecdhe-mlkem), then what every peer of the last ten years has. */
const DEFAULT_GROUPS = ["X25519MLKEM768", "X25519", "P-256", "P-384"];

/** As OpenSSL's order on the other engine, of what both have and is taken by default there. */
const DEFAULT_CIPHERS = [
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** TLS 1.0 and 1.1 have none of the above. */
const OBSOLETE_CIPHERS = [
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "AES128-SHA",
  "AES256-SHA",
];

/** Envoy takes no Ed25519 unless it is named, and naming one replaces the list; SHA-1 is left out of it. */
const SIGNATURE_ALGORITHMS = [
  "ecdsa_secp256r1_sha256",
  "ed25519",
  "rsa_pss_rsae_sha256",
  "rsa_pkcs1_sha256",
  "ecdsa_secp384r1_sha384",
  "rsa_pss_rsae_sha384",
  "rsa_pkcs1_sha384",
  "ecdsa_secp521r1_sha512",
  "rsa_pss_rsae_sha512",
  "rsa_pkcs1_sha512",
];

const VERSIONS: Readonly<Record<TlsVersion, Protocol>> = {
  "v1.0": Protocol.TLSv1_0,
  "v1.1": Protocol.TLSv1_1,
  "v1.2": Protocol.TLSv1_2,
  "v1.3": Protocol.TLSv1_3,
};

/** Envoy's list is of TLS 1.2 and below; for TLS 1.3 it has all suites, which is what a model without any means too. */
function ciphers(written: readonly string[], minVersion: TlsVersion): string[] {
  const below13 = written.filter((name) => !isSuite13(name)).map((name) => name.toUpperCase());
  if (below13.length > 0) return below13;
  const obsolete = minVersion === "v1.0" || minVersion === "v1.1";
  return obsolete ? [...DEFAULT_CIPHERS, ...OBSOLETE_CIPHERS] : [...DEFAULT_CIPHERS];
}
