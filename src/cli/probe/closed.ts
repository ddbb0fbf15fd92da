import type { Diagnostic } from "../../diagnostics/diagnostic.ts";
import { HANDSHAKE_REASONS, type HandshakeReason } from "../../diagnostics/handshake.ts";
import type { Change, PeerReport } from "../../probe/report.ts";
import { type ClosedUser, objectName } from "./targets.ts";

/** What would be dialled and is not: the finding that closes it says why, and where to mend it; then what closes it as well. */
export function closedReport(
  { name, code, objects }: ClosedUser,
  diagnostics: readonly Diagnostic[],
  side: PeerReport["side"] = "upstream",
): PeerReport {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const own = objects.map((object) => errors.filter((each) => objectName(each.subject) === object));
  const found = own.find((each) => each.some((finding) => finding.code === code)) ?? [];
  const finding = found.find((each) => each.code === code) ?? errors.find((each) => each.code === code);
  const besides = found.filter((each) => each !== finding && CLOSING.has(each.effect));
  const reason: HandshakeReason = code === "private-key-mismatch" ? "key_mismatch" : "credential_unavailable";
  // An issuer's own finding says why there is nothing of it.
  const messages = found.filter((each) => each.code === code).map(({ message }) => message);
  const says = [...new Set(messages)].join("; ") || (finding?.message ?? `it is closed (${code})`);
  const known = HANDSHAKE_REASONS[reason];
  // Nothing may be the matter with any credential.
  const { is, remedy } = ABOUT_CREDENTIALS.test(code)
    ? known
    : {
        is: `what it is written in closes it (${code}), so there is no handshake`,
        remedy: finding?.remedy ?? known.remedy,
      };
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
      change: changesOf(finding === undefined ? [] : [finding, ...besides]),
      also: [],
      notes: [],
    },
  };
}

const ABOUT_CREDENTIALS = /^(?:secret|certificate|private-key|trust|crl|pem|issuer|client-ca)-/;

const CLOSING: ReadonlySet<Diagnostic["effect"]> = new Set(["route-fails-closed", "host-refused"]);

/** Each once, though several findings may ask for it. */
function changesOf(findings: readonly Diagnostic[]): Change[] {
  const changes = findings.map(({ subject, source, remedy }) => {
    const place = source === undefined ? null : `${source.file}:${source.line}`;
    return { object: objectName(subject), field: "", place, says: remedy };
  });
  return [...new Map(changes.map((change) => [JSON.stringify(change), change])).values()];
}
