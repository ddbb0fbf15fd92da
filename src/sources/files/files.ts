import { relative, sep } from "node:path";
import type { CredentialMaterial } from "../../credentials/credential.ts";
import type { CredentialOrigin } from "../../credentials/store.ts";
import { diagnose } from "../../diagnostics/catalogue.ts";
import type { Diagnostic } from "../../diagnostics/diagnostic.ts";
import { type AnyResource, type ParsedObject, parseObject } from "../../resources/envelope.ts";
import type { RawObject } from "../../resources/resource.ts";
import { createResourceSet, type ResourceSet } from "../../resources/resource-set.ts";
import { secretCredentialName } from "../../resources/secret.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { readRegularFile } from "./regular-file.ts";
import { FileTree, MAX_FILE_BYTES } from "./tree.ts";
import { parseYaml } from "./yaml.ts";

/** Where Secrets go: the credential store. */
export interface CredentialSink {
  offer(name: string, material: CredentialMaterial, origin: CredentialOrigin): void;
  remove(name: string): void;
}

export interface SourceSnapshot {
  readonly resources: ResourceSet;
  readonly diagnostics: readonly Diagnostic[];
  /** false: some file or document could not be read. */
  readonly complete: boolean;
}

export interface FileSource {
  /** Reads what has changed and returns the whole. Never rejects. */
  load(): Promise<SourceSnapshot>;
  /** Calls back after each change below the paths; returns the function that ends it. */
  watch(onChange: () => void): () => void;
}

/** Files and folders of YAML as a source of resources. Only files that changed are parsed again. */
export function createFileSource(context: {
  readonly paths: readonly string[];
  readonly credentials: CredentialSink;
  readonly ambassadorId: string;
  readonly logger: Logger;
}): FileSource {
  const tree = new FileTree(context.paths);
  const known = new Map<string, KnownFile>();
  let offered = new Set<string>();

  return {
    async load() {
      const { files, problems } = await settledListing(tree, known);
      const diagnostics: Diagnostic[] = problems.map(({ path, message }) => unreadable(path, message));
      let complete = problems.length === 0;
      for (const { path, stamp } of files) {
        if (known.get(path)?.stamp === stamp) continue;
        known.set(path, await readKnown(path, stamp, known.get(path), context.ambassadorId));
      }
      const present = new Set(files.map(({ path }) => path));
      // A path that cannot be listed now says nothing about what it held; that stays as last seen.
      for (const path of known.keys())
        if (!present.has(path) && !problems.some((problem) => holds(problem.path, path))) known.delete(path);

      const objects: AnyResource[] = [];
      const secrets = new Map<string, { secret: NonNullable<ParsedObject["secret"]>; raw: RawObject }[]>();
      for (const path of [...known.keys()].sort()) {
        const file = known.get(path) as KnownFile;
        complete &&= file.complete;
        diagnostics.push(...file.diagnostics);
        for (const { parsed, raw } of file.objects) {
          diagnostics.push(...parsed.diagnostics);
          if (parsed.resource !== null) objects.push(parsed.resource);
          if (parsed.secret === null) continue;
          const name = secretCredentialName(parsed.secret.namespace, parsed.secret.name);
          secrets.set(name, [...(secrets.get(name) ?? []), { secret: parsed.secret, raw }]);
        }
      }
      offered = offerSecrets(secrets, offered, context.credentials, diagnostics);
      const set = createResourceSet(objects);
      return { resources: set.resources, diagnostics: [...diagnostics, ...set.diagnostics], complete };
    },
    watch: (onChange) => tree.watch(onChange, context.logger),
  };
}

/**
 * The listing once what changed in it holds still: a file in the middle of being overwritten may be empty or half there,
 * and would take its objects away for a moment.
 */
async function settledListing(
  tree: FileTree,
  known: ReadonlyMap<string, KnownFile>,
): ReturnType<FileTree["list"]> {
  let listing = await tree.list();
  for (let tries = 0; known.size > 0 && tries < 10; tries++) {
    const changed = listing.files.filter(({ path, stamp }) => known.get(path)?.stamp !== stamp);
    if (changed.length === 0 && listing.files.length === known.size) break;
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const again = await tree.list();
    const still = JSON.stringify(again) === JSON.stringify(listing);
    listing = again;
    if (still) break;
  }
  return listing;
}

const SETTLE_MS = 30;

interface KnownFile {
  readonly stamp: string;
  readonly objects: readonly { readonly parsed: ParsedObject; readonly raw: RawObject }[];
  readonly diagnostics: readonly Diagnostic[];
  readonly complete: boolean;
}

async function readKnown(
  path: string,
  stamp: string,
  before: KnownFile | undefined,
  ambassadorId: string,
): Promise<KnownFile> {
  const reading = await readRegularFile(path, MAX_FILE_BYTES);
  if (!reading.ok) {
    const diagnostics = [unreadable(path, reading.reason)];
    return { stamp: "", objects: before?.objects ?? [], diagnostics, complete: false };
  }
  const file = parseYaml(path, reading.text);
  const objects = file.objects.map((raw) => ({ parsed: parseObject(raw, ambassadorId), raw }));
  if (file.complete) return { stamp, objects, diagnostics: file.diagnostics, complete: true };
  // Some document is broken. An object that was here and is not seen now may be the one in it: it stays as last seen.
  const seen = new Set(objects.map(({ raw }) => identityOf(raw)));
  const missing = (before?.objects ?? []).filter(({ raw }) => !seen.has(identityOf(raw)));
  return {
    stamp,
    objects: [...objects, ...missing],
    diagnostics: file.diagnostics,
    complete: before?.complete === true,
  };
}

function identityOf(raw: RawObject): string {
  const { kind, metadata } = (raw.value ?? {}) as {
    kind?: unknown;
    metadata?: { name?: unknown; namespace?: unknown };
  };
  return JSON.stringify([kind, metadata?.namespace ?? "default", metadata?.name]);
}

/** Offers each Secret, withdraws those that are gone; returns the names offered now. */
function offerSecrets(
  secrets: ReadonlyMap<string, readonly { secret: NonNullable<ParsedObject["secret"]>; raw: RawObject }[]>,
  before: ReadonlySet<string>,
  sink: CredentialSink,
  diagnostics: Diagnostic[],
): Set<string> {
  const now = new Set<string>();
  for (const [name, copies] of secrets) {
    const [{ secret, raw }] = copies as [(typeof copies)[number]];
    const subject = { kind: "Secret", namespace: secret.namespace, name: secret.name };
    const same = copies.every(
      (copy) => JSON.stringify(copy.secret.material) === JSON.stringify(secret.material),
    );
    if (copies.length > 1) {
      const message = `Secret ${secret.name} stands at ${copies.map((copy) => `${copy.raw.source.file}:${copy.raw.source.line}`).join(", ")}`;
      diagnostics.push(
        diagnose(same ? "object-repeated" : "object-duplicate", { subject, source: raw.source, message }),
      );
    }
    if (!same) continue;
    now.add(name);
    sink.offer(name, secret.material, { subject, source: raw.source });
  }
  for (const name of before) if (!now.has(name)) sink.remove(name);
  return now;
}

function holds(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below !== ".." && !below.startsWith(`..${sep}`);
}

function unreadable(path: string, message: string): Diagnostic {
  return diagnose("file-unreadable", {
    subject: { kind: "File", namespace: "", name: path },
    source: { file: path, line: 1, column: 1 },
    message: `${path}: ${message}`,
  });
}
