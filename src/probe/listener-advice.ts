import { changesFor, type Situation } from "./advice.ts";
import type { ProbeFailure } from "./failure.ts";
import type { Change } from "./report.ts";

/**
 * What to write in the resources of a listener: what is wrong with a client's certificate is mended by the CAs and rules of
 * its context, what a client has against ours by our certificate.
 */
export function listenerChanges(
  { step, reason }: ProbeFailure,
  client: Situation,
  serverName: string | null,
): readonly Change[] {
  const { context, credential, place } = client;
  const change = (object: string, field: string, says: string): Change => ({
    object,
    field,
    place: place(object, field),
    says,
  });
  if (reason === "client_certificate_missing")
    return context === null
      ? []
      : [change(context, "cert_required", "cert_required: false, if clients may come without a certificate")];
  if (step === "client") return changesFor(reason, client);
  if (OURS.has(reason))
    return credential === null
      ? []
      : [
          change(
            credential,
            "tls.crt",
            `a certificate${serverName === null ? "" : ` for ${serverName}`} that clients take, and its chain`,
          ),
        ];
  const field = FIELDS[reason];
  if (field === undefined || context === null) return changesFor(reason, client);
  return [change(context, field, `${field}: so that it has what today's clients offer`)];
}

/** What a listener takes too little of is widened, not added to what the client would offer. */
const FIELDS: Readonly<Partial<Record<ProbeFailure["reason"], string>>> = {
  no_common_version: "max_tls_version",
  no_common_cipher: "cipher_suites",
  no_common_group: "ecdh_curves",
  alpn_mismatch: "alpn_protocols",
};

/** Faults of the certificate that the listener shows. */
const OURS: ReadonlySet<ProbeFailure["reason"]> = new Set<ProbeFailure["reason"]>([
  "certificate_expired",
  "certificate_not_yet_valid",
  "issuer_unknown",
  "intermediate_missing",
  "self_signed_leaf",
  "name_mismatch",
  "purpose_wrong",
  "issuer_not_ca",
  "path_too_long",
  "name_constraint",
  "critical_extension_unknown",
  "key_weak",
  "signature_weak",
  "signature_invalid",
  "certificate_malformed",
]);
