import type { AnchorReport } from "../../admin/anchors.ts";
import { endWithReader, printJson, printText } from "../standard-output.ts";
import { askAdmin } from "./admin-port.ts";
import { ago, type BundleVerdict, judgeRotation, placeName, type RootVerdict } from "./rotation.ts";

export interface RotateCheckFlags {
  readonly admin: string;
  readonly quietFor: number;
  readonly bundle?: string;
  readonly root?: string;
  readonly allowUnseen?: boolean;
  readonly format: "text" | "json";
}

/** Asks a running gateway which peers still chain to which CA, and says which CA may be taken out of its bundle. */
export async function checkRotation(flags: RotateCheckFlags): Promise<void> {
  endWithReader();
  const report = await askAdmin<AnchorReport>(flags.admin, "/ambassador/v0/anchors");
  process.exitCode = 1;
  if (typeof report === "string") {
    console.error(`credence: ${report}`);
    return;
  }
  const isKnown = report.observedSince !== null;
  const bundles = judgeRotation(report, {
    quietForMs: flags.quietFor,
    allowUnseen: flags.allowUnseen === true,
    ...(flags.bundle === undefined ? {} : { bundle: flags.bundle }),
    ...(flags.root === undefined ? {} : { root: flags.root }),
  });
  const roots = bundles.flatMap((bundle) => bundle.roots);
  const isThere =
    (flags.root === undefined || roots.length > 0) && (flags.bundle === undefined || bundles.length > 0);
  const safe = isKnown && isThere && roots.every((root) => root.safe);
  if (flags.format === "json")
    printJson({ version: 1, known: isKnown, safe, observedSince: report.observedSince, bundles });
  else if (!isKnown) process.stdout.write(NOT_KNOWN);
  else if (!isThere) process.stdout.write("No bundle in use has such a CA.\n");
  else printText(render(bundles, report));
  if (safe) process.exitCode = 0;
}

const NOT_KNOWN = `Not known: the gateway runs on Envoy, which does not tell which CA vouched for a peer, only who issued its certificate
(%UPSTREAM_PEER_ISSUER%, %DOWNSTREAM_PEER_ISSUER% of an access log). docs/certificates.md says what to do instead.
`;

function render(bundles: readonly BundleVerdict[], { time, observedSince }: AnchorReport): string {
  const now = Date.parse(time);
  const lines = bundles.flatMap(({ name, group, newest, roots }) => [
    `${name}${group === undefined ? "" : ` of group ${group}`}`,
    ...roots.flatMap((root) => renderRoot(root, now)),
    ...newest
      .filter(({ sha256 }) => !roots.some(({ anchor }) => anchor.sha256 === sha256))
      .map(
        ({ subject, sha256 }) =>
          `  ${subject} (${sha256.slice(0, 16)}): nothing newer is beside it, it stays`,
      ),
    "",
  ]);
  if (bundles.length === 0) lines.push("No CA bundle is in use.", "");
  const roots = bundles.flatMap((bundle) => bundle.roots);
  const open = roots.filter(({ safe }) => !safe).length;
  const told = `what is told began ${ago(now - Date.parse(observedSince ?? time))} ago, with the process`;
  lines.push(
    roots.length === 0
      ? `No CA has a newer one beside it: nothing to drop (${told}).`
      : open === 0
        ? `Safe to drop: ${[...new Set(roots.map(({ anchor }) => anchor.subject))].join("; ")} (${told}).`
        : `Not yet: ${open} of ${roots.length} must stay (${told}).`,
  );
  return `${lines.join("\n")}\n`;
}

function renderRoot({ anchor, safe, reasons, places }: RootVerdict, now: number): string[] {
  const { subject, sha256, notAfter } = anchor;
  return [
    `  ${subject} (${sha256.slice(0, 16)}, until ${notAfter.slice(0, 10)}): ${safe ? "safe to drop" : "not yet"}`,
    ...places.map(
      (place) =>
        `    ${placeName(place)}: ${place.old.handshakes} ${place.old.handshakes === 1 ? "handshake" : "handshakes"} chained to it, the last ${ago(now - Date.parse(place.old.lastSeen))} ago`,
    ),
    ...reasons.map((reason) => `    not yet: ${reason}`),
  ];
}
