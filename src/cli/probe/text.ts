import { addressText } from "../../model/address.ts";
import type { Change, PeerReport, Placed, ProbeReport, Step, Verdict } from "../../probe/report.ts";

/** The report as a person reads it: for each peer the verdict, then each step, then what to change. */
export function probeText(report: ProbeReport, colour: boolean): string {
  const paint: Paint = (style, text) => (colour ? `\x1b[${style}m${text}\x1b[0m` : text);
  return report.peers.map((peer) => peerLines(tame(peer), paint).join("\n")).join("\n\n");
}

/** Names and answers are of the peer's choosing: nothing of them may steer a terminal or change the order of reading. */
function tame<Value>(value: Value): Value {
  if (typeof value === "string") return value.replace(STEERING, "\ufffd") as Value;
  if (Array.isArray(value)) return value.map(tame) as Value;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, tame(each)])) as Value;
}

/** Controls of ASCII and Latin-1, line separators, and what turns the direction of writing. */
const STEERING = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

type Paint = (style: number, text: string) => string;

const BOLD = 1;
const DIM = 2;
const RED = 31;
const GREEN = 32;
const YELLOW = 33;

const MARKS: Readonly<Record<Step["status"], readonly [mark: string, style: number]>> = {
  ok: ["✓", GREEN],
  failed: ["✗", RED],
  warning: ["!", YELLOW],
  skipped: ["·", DIM],
};
const LABEL_WIDTH = 13;
const INDENT = " ".repeat(LABEL_WIDTH + 4);

function peerLines(peer: PeerReport, paint: Paint): string[] {
  const { side, host, port, decidedBy, steps, verdict } = peer;
  // Port 0: nobody was dialled.
  const who = port === 0 ? "" : `${addressText(host, port)} `;
  return [
    paint(BOLD, side === "upstream" ? `upstream ${who}`.trimEnd() : `listener ${who}for ${peer.name}`),
    `  ${paint(verdict.good ? GREEN : RED, verdict.good ? verdict.says : `${verdict.reason}: ${verdict.is}`)}`,
    "",
    ...decidedBy.map((placed) => `  ${placedText(placed, paint)}`),
    "",
    ...steps.flatMap((step) => stepLines(step, paint)),
    "",
    ...verdictLines(verdict, paint),
  ];
}

function placedText({ name, place }: Placed, paint: Paint): string {
  return place === null ? name : `${name} ${paint(DIM, place)}`;
}

function stepLines({ step, status, says, details }: Step, paint: Paint): string[] {
  const [mark, style] = MARKS[status];
  const label = step.padEnd(LABEL_WIDTH);
  return [
    `  ${paint(style, mark)} ${paint(BOLD, label)}${status === "failed" ? paint(RED, says) : says}`,
    ...details.map((detail) => `${INDENT}${detailText(detail, paint)}`),
  ];
}

/** A check that failed is seen from afar; the rest steps back. */
function detailText(detail: string, paint: Paint): string {
  if (detail.startsWith("✗")) return paint(RED, detail);
  return detail.startsWith("✓") ? `${paint(GREEN, "✓")}${detail.slice(1)}` : paint(DIM, detail);
}

function verdictLines(verdict: Verdict, paint: Paint): string[] {
  const { good, reason, step, says, remedy, change, also, notes } = verdict;
  const lines: string[] = [];
  if (!good)
    lines.push(
      `${paint(RED, paint(BOLD, `${reason}`))} at the step "${step}"`,
      `  ${says}`,
      `  ${paint(DIM, "mend:")}   ${remedy}`,
    );
  const changes = (all: readonly Change[]): void =>
    void lines.push(...all.map((each, index) => changeLine(each, index, paint)));
  changes(change);
  for (const { reason: other, says: what, change: its } of also) {
    lines.push(`  ${paint(DIM, "also:")}   ${other}: ${what}`);
    changes(its);
  }
  for (const note of notes) lines.push(`  ${paint(DIM, "note:")}   ${note}`);
  return lines;
}

function changeLine({ object, place, says }: Change, index: number, paint: Paint): string {
  const label = index === 0 ? "change:" : "       ";
  return `  ${paint(DIM, label)} ${place === null ? object : `${paint(BOLD, place)} ${object}`}: ${says}`;
}
