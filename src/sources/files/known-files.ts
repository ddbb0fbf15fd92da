import { relative, sep } from "node:path";
import type { Diagnostic } from "../../diagnostics/diagnostic.ts";
import { difference } from "../../resources/difference.ts";
import type { AnyResource } from "../../resources/kinds.ts";
import { secretCredentialName } from "../../resources/secret.ts";
import type { KnownFile, KnownSecret } from "./known-file.ts";
import type { TreeListing } from "./tree.ts";

/** What all files say, in the order of their paths. A list that nothing has changed in stays the same list. */
export interface FilesSum {
  readonly resources: readonly AnyResource[];
  /** Of Secrets, as the store calls them. */
  readonly secretNames: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
  readonly complete: boolean;
}

export interface SecretChanges {
  readonly gone: readonly KnownSecret[];
  readonly come: readonly KnownSecret[];
}

/** The files as last read. A thousand that have not changed cost nothing when one has. */
export class KnownFiles {
  readonly #files = new Map<string, Known>();
  #sum: FilesSum = { resources: [], secretNames: [], diagnostics: [], complete: true };
  /** Which lists of it are to be made anew. */
  readonly #stale = new Set<keyof FilesSum>();
  #changes: { gone: KnownSecret[]; come: KnownSecret[] } = { gone: [], come: [] };

  get size(): number {
    return this.#files.size;
  }

  get(path: string): KnownFile | undefined {
    return this.#files.get(path)?.file;
  }

  put(path: string, file: KnownFile): void {
    const now = knownOf(file);
    this.#replace(this.#files.get(path), now);
    this.#files.set(path, now);
  }

  /** Forgets what is not listed. A path that cannot be listed now says nothing about what it held; that stays as last seen. */
  keepListed({ files, problems }: TreeListing): void {
    // As a rule: nothing has gone.
    if (files.length === this.#files.size && files.every(({ path }) => this.#files.has(path))) return;
    const present = new Set(files.map(({ path }) => path));
    for (const [path, known] of this.#files) {
      if (present.has(path) || problems.some((problem) => holds(problem.path, path))) continue;
      this.#replace(known, undefined);
      this.#files.delete(path);
    }
  }

  sum(): FilesSum {
    if (this.#stale.size === 0) return this.#sum;
    const all = [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, known]) => known);
    const { resources, secretNames, diagnostics } = this.#sum;
    this.#sum = {
      resources: this.#stale.has("resources") ? all.flatMap((known) => known.resources) : resources,
      secretNames: this.#stale.has("secretNames") ? all.flatMap((known) => known.secretNames) : secretNames,
      diagnostics: this.#stale.has("diagnostics") ? all.flatMap((known) => known.diagnostics) : diagnostics,
      complete: all.every(({ file }) => file.complete),
    };
    this.#stale.clear();
    return this.#sum;
  }

  /** What Secrets have gone and come since this was asked last: one that stands as it stood is in neither. */
  takeSecretChanges(): SecretChanges {
    const changes = this.#changes;
    this.#changes = { gone: [], come: [] };
    return changes;
  }

  #replace(before: Known | undefined, after: Known | undefined): void {
    if (isOther(before?.resources, after?.resources)) this.#stale.add("resources");
    if (isOther(before?.diagnostics, after?.diagnostics)) this.#stale.add("diagnostics");
    if (before?.secretNames.join() !== after?.secretNames.join()) this.#stale.add("secretNames");
    if ((before?.file.complete ?? true) !== (after?.file.complete ?? true)) this.#stale.add("complete");
    const { gone, come } = difference(before?.secrets ?? [], after?.secrets ?? []);
    this.#changes.gone.push(...gone);
    this.#changes.come.push(...come);
  }
}

interface Known extends Omit<FilesSum, "complete"> {
  readonly file: KnownFile;
  readonly secrets: readonly KnownSecret[];
}

function knownOf(file: KnownFile): Known {
  const { objects } = file;
  const secrets = objects.flatMap(({ secret }) => secret ?? []);
  return {
    file,
    resources: objects.flatMap(({ resource }) => resource ?? []),
    secrets,
    secretNames: secrets.map(({ namespace, name }) => secretCredentialName(namespace, name)),
    diagnostics: [...file.diagnostics, ...objects.flatMap(({ diagnostics }) => diagnostics)],
  };
}

function isOther<T extends object>(before: readonly T[] = [], after: readonly T[] = []): boolean {
  const { gone, come } = difference(before, after);
  return gone.length + come.length > 0;
}

/** The path itself, or one below it. */
function holds(folder: string, path: string): boolean {
  const below = relative(folder, path);
  return below !== ".." && !below.startsWith(`..${sep}`);
}
