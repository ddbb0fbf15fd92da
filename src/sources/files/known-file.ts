import { createHash } from "node:crypto";
import { diagnose } from "../../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition } from "../../diagnostics/diagnostic.ts";
import { parseObject } from "../../resources/envelope.ts";
import type { AnyResource } from "../../resources/kinds.ts";
import type { RawObject } from "../../resources/resource.ts";
import type { SecretMaterial } from "../../resources/secret.ts";
import type { FileReading } from "./regular-file.ts";
import { parseYaml } from "./yaml.ts";

/** What is remembered of a file between two readings. Key bytes are no part of it. */
export interface KnownFile {
  readonly stamp: string;
  readonly objects: readonly KnownObject[];
  /** Resources by the key of their document. */
  readonly documents: ReadonlyMap<string, KnownDocument>;
  readonly diagnostics: readonly Diagnostic[];
  readonly complete: boolean;
}

export interface KnownObject {
  /** Kind, namespace and name. */
  readonly identity: string;
  readonly resource: AnyResource | null;
  readonly secret: KnownSecret | null;
  readonly diagnostics: readonly Diagnostic[];
}

export interface KnownDocument {
  readonly raw: RawObject;
  readonly object: KnownObject;
}

/** A Secret by what it is called, where it stands and what its material adds up to. */
export interface KnownSecret {
  readonly namespace: string;
  readonly name: string;
  readonly source: SourcePosition;
  readonly digest: string;
}

/** The material that a reading came upon, by its digest. To be handed on and forgotten: the credential store is its home. */
export type Materials = ReadonlyMap<string, SecretMaterial>;

/** What was read of a file, taken in. Where it cannot be read, or some document of it cannot, what `before` knew stays as last seen. */
export function knownFile(
  path: string,
  stamp: string,
  reading: FileReading,
  before: KnownFile | undefined,
  ambassadorId: string,
): { file: KnownFile; materials: Materials } {
  if (!reading.ok) {
    const diagnostics = [fileUnreadable(path, reading.reason)];
    const file = {
      stamp: "",
      objects: before?.objects ?? [],
      documents: before?.documents ?? NONE,
      diagnostics,
      complete: false,
    };
    return { file, materials: new Map() };
  }
  const known = before?.documents ?? NONE;
  const parsed = parseYaml(path, reading.text, (key) => known.get(key)?.raw);
  const { diagnostics, complete } = parsed;
  const materials = new Map<string, SecretMaterial>();
  const documents = new Map<string, KnownDocument>();
  const objects = parsed.objects.map((raw, index) => {
    const key = parsed.keys[index] as string;
    const object = known.get(key)?.object ?? knownObject(raw, ambassadorId, materials);
    // The text of a document with a Secret is not kept.
    if (object.resource !== null && key !== "") documents.set(key, { raw, object });
    return object;
  });
  if (complete) return { file: { stamp, objects, documents, diagnostics, complete }, materials };
  // An object that was here and is not seen now may be the one in the broken document.
  const seen = new Set(objects.map(({ identity }) => identity));
  const missing = (before?.objects ?? []).filter(({ identity }) => !seen.has(identity));
  const file = {
    stamp,
    objects: [...objects, ...missing],
    documents,
    diagnostics,
    complete: before?.complete === true,
  };
  return { file, materials };
}

const NONE: ReadonlyMap<string, KnownDocument> = new Map();

/** A file or folder of whose content nothing is known now. */
export function fileUnreadable(path: string, reason: string): Diagnostic {
  return diagnose("file-unreadable", {
    subject: { kind: "File", namespace: "", name: path },
    source: { file: path, line: 1, column: 1 },
    message: `${path}: ${reason}`,
  });
}

function knownObject(
  raw: RawObject,
  ambassadorId: string,
  materials: Map<string, SecretMaterial>,
): KnownObject {
  const { resource, secret, diagnostics } = parseObject(raw, ambassadorId);
  const identity = identityOf(raw);
  if (resource !== null) return { identity, resource, secret: null, diagnostics };
  if (secret === null) return { identity, resource, secret, diagnostics: apart(diagnostics) };
  const { namespace, name, material } = secret;
  const digest = digestOf(material);
  materials.set(digest, material);
  const known = { namespace, name, source: raw.source, digest };
  return { identity, resource, secret: apart(known), diagnostics: apart(diagnostics) };
}

/** A copy with texts of its own: V8 may make a text a view of the document that it was cut from, keys and all. */
function apart<T>(value: T): T {
  return structuredClone(value);
}

function digestOf(material: SecretMaterial): string {
  // Sorted: two copies that say the same say it with the same digest.
  const parts = Object.entries(material).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

function identityOf(raw: RawObject): string {
  const { kind, metadata } = (raw.value ?? {}) as {
    kind?: unknown;
    metadata?: { name?: unknown; namespace?: unknown };
  };
  return JSON.stringify([kind, metadata?.namespace ?? "default", metadata?.name]);
}
