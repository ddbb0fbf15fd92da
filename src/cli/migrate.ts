import type { MigrationFinding } from "../migrate/finding.ts";
import { migrationReport } from "../migrate/migrate.ts";
import { migrationJson, migrationText } from "../migrate/render.ts";
import { CONFIG_ANNOTATION, readAnnotation } from "../resources/annotation.ts";
import { isRecord } from "../resources/fields.ts";
import type { RawObject } from "../resources/resource.ts";
import { withholdKeys } from "../resources/withheld.ts";
import { FileTree } from "../sources/files/tree.ts";
import { parseYaml } from "../sources/files/yaml.ts";
import { loadGateway, type ResourceFlags } from "./load.ts";
import { allExist } from "./paths.ts";
import { inputOf } from "./standard-input.ts";
import { endWithReader, inColour, printJson, printText } from "./standard-output.ts";

export interface MigrateFlags extends ResourceFlags {
  readonly format: "text" | "json";
}

/** The safety report: what 1.14 did with these resources, what Credence does, and what to write. */
export async function migrate(paths: readonly string[], flags: MigrateFlags): Promise<void> {
  if (!allExist(paths)) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const { findings, complete } = await findMigrations(paths, flags);
  const report = migrationJson(findings);
  if (flags.format === "json") printJson(report);
  else {
    const colour = inColour();
    for (const finding of findings) printText(`${migrationText(finding, colour)}\n\n`);
    const { errors, warnings, infos } = report.summary;
    process.stdout.write(
      `${errors} that stop something, ${warnings} that change or stay unsafe, ${infos} that are safer as they are\n`,
    );
  }
  if (!complete) console.error("credence: some documents could not be read; `credence check` shows which");
  process.exitCode = report.summary.errors > 0 || !complete ? 1 : 0;
}

/** The findings of the report; `complete` is false where some document could not be read. */
export async function findMigrations(
  paths: readonly string[],
  flags: ResourceFlags,
): Promise<{ findings: MigrationFinding[]; complete: boolean }> {
  const { resources, store, compilation, diagnostics, complete } = await loadGateway(paths, flags);
  const findings = migrationReport({
    resources,
    statuses: store.statuses,
    model: compilation.model,
    diagnostics,
    documents: await readDocuments(paths),
    ambassadorId: flags.ambassadorId,
  });
  return { findings, complete };
}

/** Every document with its place, as 1.14 may have acted on kinds that Credence does not. Of Secrets only the names of keys. */
async function readDocuments(paths: readonly string[]): Promise<RawObject[]> {
  const input = await inputOf(paths);
  const tree = new FileTree(input.paths, input.given);
  const { files } = await tree.list();
  const documents: RawObject[] = [];
  for (const { path } of files) {
    const reading = await tree.read(path);
    for (const raw of reading.ok ? parseYaml(path, reading.text).objects : [])
      for (const object of [withoutSecrets(raw), ...annotated(raw)]) documents.push(withholdKeys(object).raw);
  }
  return documents;
}

/** Objects in an annotation of a Service or Ingress. */
function annotated(raw: RawObject): readonly RawObject[] {
  const metadata = isRecord(raw.value) && isRecord(raw.value.metadata) ? raw.value.metadata : {};
  const text = isRecord(metadata.annotations) ? metadata.annotations[CONFIG_ANNOTATION] : undefined;
  if (text === undefined) return [];
  const namespace = typeof metadata.namespace === "string" ? metadata.namespace : "default";
  return readAnnotation(text, { kind: "Service", namespace, name: String(metadata.name) }, raw).objects;
}

function withoutSecrets(raw: RawObject): RawObject {
  if (!isRecord(raw.value) || raw.value.kind !== "Secret") return raw;
  const { data, stringData, ...rest } = raw.value;
  const names = (section: unknown): Record<string, string> =>
    Object.fromEntries(Object.keys(isRecord(section) ? section : {}).map((key) => [key, ""]));
  return { ...raw, value: { ...rest, data: names(data), stringData: names(stringData) } };
}
