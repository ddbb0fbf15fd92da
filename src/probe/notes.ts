import { PASSED_BY_ENVOY, untranslatable, untranslatableRules } from "../model/tls-capabilities.ts";
import type { CertificateFault } from "../x509/faults.ts";
import type { HandshakeParts } from "./handshake.ts";
import type { Equipment, OriginateTls } from "./offer.ts";

/** Where another judge would say otherwise: OpenSSL by itself, and Envoy with the same resources. */
export function enginesDiffer(
  { parameters, verification }: OriginateTls,
  { credential, trust }: Equipment,
  { outcome, checks }: HandshakeParts,
): string[] {
  const notes: string[] = [];
  const faults = checks.flatMap(({ fault }) => fault ?? []);
  if (verification.mode !== "none" && outcome.negotiated !== null) {
    const { opensslVerdict } = outcome.negotiated;
    const [ours] = faults.filter((fault) => !BEYOND_CHAIN.has(fault));
    if (opensslVerdict === null && ours !== undefined)
      notes.push(`OpenSSL by itself would take this chain; Credence refuses it (${ours})`);
    if (opensslVerdict !== null && faults.length === 0)
      notes.push(`OpenSSL by itself would refuse this chain (${opensslVerdict})`);
  }
  for (const { message } of untranslatable(parameters))
    notes.push(`with the envoy engine these settings are refused: ${message}`);
  const rules = verification.mode === "none" ? undefined : verification.rules;
  const closes =
    rules === undefined
      ? []
      : untranslatableRules(rules, { byTrustDomain: trust?.domains !== undefined, peers: "upstreams" });
  for (const { message } of closes) notes.push(`with the envoy engine this context is closed: ${message}`);
  const [first] = faults;
  const passed = first === undefined ? undefined : PASSED_BY_ENVOY[first];
  if (passed !== undefined && closes.length === 0 && verification.mode !== "none")
    notes.push(`with the envoy engine the peer may be taken: ${passed}`);
  if (credential?.refusedByEnvoy !== undefined)
    notes.push(`Envoy would not present our certificate: ${credential.refusedByEnvoy}`);
  return notes;
}

/** What OpenSSL is not asked about. */
const BEYOND_CHAIN: ReadonlySet<CertificateFault> = new Set<CertificateFault>([
  "name_mismatch",
  "spiffe_id_mismatch",
  "pin_mismatch",
  "chain_too_deep",
  "revoked",
  "crl_missing",
  "crl_stale",
]);
