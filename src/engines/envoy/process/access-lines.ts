import type { AccessLogWriter } from "../../../telemetry/access-log-writer.ts";
import { type Flags, failureCause } from "../failure-reasons.ts";

/** The revision that was whole at a time (milliseconds since the epoch); null: none was. */
export type RevisionAt = (time: number) => number | null;

/**
 * Takes what Envoy writes to standard output, in pieces, and hands its access log on. What Envoy cannot say is put in: the reasons of
 * our closed lists, which its own words are looked up in, and the revision, which no resource that stays as it is can name.
 */
export function accessLines(
  writer: Pick<AccessLogWriter, "write">,
  revisionAt: RevisionAt,
): { write(piece: string): void; end(): void } {
  let rest = "";
  return {
    write(piece) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      if (lines.length === 0) return;
      writer.write(`${lines.map((line) => completed(line, revisionAt)).join("\n")}\n`, lines.length);
    },
    end() {
      if (rest !== "") writer.write(`${completed(rest, revisionAt)}\n`, 1);
      rest = "";
    },
  };
}

function completed(line: string, revisionAt: RevisionAt): string {
  // Of a line that has no such field, or is none of ours, nothing is known.
  const time = Date.parse(/"time":"([^"]*)"/.exec(line)?.[1] ?? "");
  if (Number.isNaN(time) || !line.endsWith("}")) return line;
  const revision = revisionAt(time);
  // Most are: they need not be read. Nothing that a client sends looks so, as its quotes are escaped.
  if (line.includes('"response_flags":"-"') && line.includes('"response_details":"via_upstream"'))
    return `${line.slice(0, -1)},"handshake":null,"revision":${revision}}`;
  try {
    const entry = JSON.parse(line) as Line;
    return JSON.stringify({ ...entry, ...reasons(entry), revision });
  } catch {
    return line;
  }
}

/** What access-log.ts makes of a request or a connection, as far as it tells of a failure. */
interface Line {
  readonly status: number;
  /** Envoy's letters for them; `-`: none. */
  readonly response_flags: string | null;
  readonly response_details: string | null;
  readonly upstream_failure: string | null;
  /** Where the route itself is the failure. */
  readonly failure: string | null;
}

function reasons({ status, response_flags, response_details, upstream_failure, failure }: Line): {
  readonly failure: string | null;
  readonly handshake: string | null;
} {
  const details = response_details ?? "";
  const letters = (response_flags ?? "-").split(",").filter((each) => each !== "-");
  const isServed = letters.length === 0 && (status < 400 || details === "via_upstream");
  if (failure != null || isServed || details === "direct_response")
    return { failure: failure ?? null, handshake: null };
  const flags: Record<string, true> = {};
  for (const each of letters) flags[FLAGS[each] ?? each] = true;
  // In lines each blank of it is a `_`, and those that it has itself stay.
  const transport =
    upstream_failure === null ? "" : `${upstream_failure} ${upstream_failure.replaceAll("_", " ")}`;
  const found = failureCause({ status, details, flags, transport });
  return { failure: found?.reason ?? null, handshake: found?.handshake ?? null };
}

/** Those that failure-reasons.ts asks for, by the letters that stand for them in lines. */
const FLAGS: Readonly<Record<string, keyof Flags>> = {
  UO: "upstreamOverflow",
  OM: "overloadManager",
  DF: "dnsResolutionFailure",
  UH: "noHealthyUpstream",
  NR: "noRouteFound",
  NC: "noClusterFound",
  UT: "upstreamRequestTimeout",
  DT: "durationTimeout",
  UMSDR: "upstreamMaxStreamDurationReached",
  UPE: "upstreamProtocolError",
  UF: "upstreamConnectionFailure",
  UC: "upstreamConnectionTermination",
  UR: "upstreamRemoteReset",
  LR: "localReset",
  DPE: "downstreamProtocolError",
  DC: "downstreamConnectionTermination",
  DR: "downstreamRemoteReset",
};
