import { contextRules } from "./contexts.ts";
import { findings, type MigrationFinding } from "./finding.ts";
import { hostRules } from "./hosts.ts";
import type { MigrationInput } from "./input.ts";
import { Legacy } from "./legacy.ts";
import { meshRules } from "./mesh.ts";
import { objectRules } from "./objects.ts";
import { otherUpstreamRules } from "./other-upstreams.ts";
import { routeRules } from "./routes.ts";
import { sharedClusterRules } from "./shared-clusters.ts";
import { stopRules } from "./stops.ts";
import { tcpRules } from "./tcp.ts";
import { terminationRules } from "./termination.ts";
import { upstreamRules } from "./upstreams.ts";

/** Every place where 1.14 was unsafe with these resources, by file and line. Pure. */
export function migrationReport(input: MigrationInput): MigrationFinding[] {
  const legacy = new Legacy(input);
  const { found, report } = findings();
  upstreamRules(input, legacy, report);
  otherUpstreamRules(input, legacy, report);
  sharedClusterRules(input, report);
  contextRules(input, legacy, report);
  terminationRules(input, legacy, report);
  hostRules(input, legacy, report);
  routeRules(input, report);
  tcpRules(input, legacy, report);
  meshRules(input, report);
  objectRules(input, legacy, report);
  stopRules(input, found, report);
  const key = ({ source, code, subject, before }: MigrationFinding): string =>
    [source?.file ?? "", String(source?.line ?? 0).padStart(9, "0"), code, subject.name, before].join("\0");
  return found
    .map((finding) => ({ finding, key: key(finding) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ finding }) => finding);
}
