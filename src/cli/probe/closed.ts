import type { Diagnostic } from "../../diagnostics/diagnostic.ts";
import { HANDSHAKE_REASONS, type HandshakeReason } from "../../diagnostics/handshake.ts";
import type { PeerReport } from "../../probe/report.ts";
import type { ClosedUser } from "./targets.ts";

/** What would be dialled and is not: the finding that closes it says why, and where to mend it. */
export function closedReport(
  { name, code }: ClosedUser,
  diagnostics: readonly Diagnostic[],
  side: PeerReport["side"] = "upstream",
): PeerReport {
  const found = diagnostics.filter((each) => each.severity === "error");
  const finding = found.find((each) => each.code === code) ?? found[0];
  const reason: HandshakeReason = code === "private-key-mismatch" ? "key_mismatch" : "credential_unavailable";
  const says = finding?.message ?? `it is closed (${code})`;
  const { is, remedy } = HANDSHAKE_REASONS[reason];
  const place = finding?.source === undefined ? null : `${finding.source.file}:${finding.source.line}`;
  return {
    side,
    name,
    host: name,
    port: 0,
    addresses: [],
    address: null,
    decidedBy: [],
    steps: [
      {
        step: "credential",
        status: "failed",
        says,
        details: [
          `${name} is closed (${code}): ${side === "upstream" ? "nobody is dialled" : "handshakes are refused"}`,
        ],
      },
    ],
    offered: null,
    negotiated: null,
    asked: null,
    certificates: [],
    checks: [],
    client: null,
    presented: [],
    accepted: null,
    verdict: {
      good: false,
      reason,
      step: "credential",
      says,
      is,
      remedy,
      change:
        finding === undefined ? [] : [{ object: objectOf(finding), field: "", place, says: finding.remedy }],
      also: [],
      notes: [],
    },
  };
}

function objectOf({ subject }: Diagnostic): string {
  return `${subject.kind.toLowerCase()}/${subject.namespace}/${subject.name}`;
}
