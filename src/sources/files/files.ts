import type { Diagnostic } from "../../diagnostics/diagnostic.ts";
import { withConnectContexts } from "../../resources/connect-contexts.ts";
import type { AnyResource } from "../../resources/kinds.ts";
import type { ResourceSet, SettledSet } from "../../resources/resource-set.ts";
import { ResourceSets } from "../../resources/resource-sets.ts";
import type { SecretMaterial } from "../../resources/secret.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { fileUnreadable, knownFile } from "./known-file.ts";
import { KnownFiles } from "./known-files.ts";
import type { FileReading } from "./regular-file.ts";
import { type CredentialSink, SecretOffers } from "./secret-offers.ts";
import { changedAt, FileTree, isReplaced, type ListedFile, sameListing, type TreeListing } from "./tree.ts";

export interface SourceSnapshot {
  readonly resources: ResourceSet;
  readonly diagnostics: readonly Diagnostic[];
  /** false: some file or document could not be read. */
  readonly complete: boolean;
}

export interface FileSource {
  /**
   * Reads what has changed and returns the whole. `noticed`: of what the kernel has told of; otherwise every file is looked
   * at. Never rejects.
   */
  load(how?: "everything" | "noticed"): Promise<SourceSnapshot>;
  /** Calls back after each change below the paths; returns the function that ends it. */
  watch(onChange: () => void): () => void;
}

/**
 * Files and folders of YAML as a source of resources. Only files that changed are parsed again. Secrets are handed on when
 * they are read, and nothing of them is kept but digests: their bytes live in the credential store alone.
 */
export function createFileSource(context: {
  readonly paths: readonly string[];
  /** Texts beside them, by the names that they are shown under. */
  readonly given?: ReadonlyMap<string, FileReading>;
  readonly credentials: CredentialSink;
  readonly ambassadorId: string;
  readonly logger: Logger;
}): FileSource {
  const tree = new FileTree(context.paths, context.given);
  const known = new KnownFiles();
  const offers = new SecretOffers(context.credentials);
  const sets = new SetMemory(context.ambassadorId);

  return {
    async load(how = "everything") {
      const listing = await settledListing(tree, known, how);
      const materials = new Map<string, SecretMaterial>();
      const read = async ({ path, stamp }: ListedFile): Promise<void> => {
        const reading = await tree.read(path);
        const now = knownFile(path, stamp, reading, known.get(path), context.ambassadorId);
        known.put(path, now.file);
        for (const [digest, material] of now.materials) materials.set(digest, material);
      };
      const changed = changedFiles(listing, known);
      for (let next = 0; next < changed.length; next += AT_ONCE)
        await Promise.all(changed.slice(next, next + AT_ONCE).map(read));
      known.keepListed(listing);

      const readAgain = async (path: string) =>
        knownFile(path, "", await tree.read(path), undefined, context.ambassadorId).materials;
      const ofSecrets = await offers.update(known.takeSecretChanges(), materials, readAgain);
      const { problems } = listing;
      const { resources, secretNames, diagnostics, complete } = known.sum();
      const set = sets.of(resources, secretNames);
      return {
        resources: set.resources,
        diagnostics: [
          ...problems.map(({ path, message }) => fileUnreadable(path, message)),
          ...diagnostics,
          ...ofSecrets,
          ...set.diagnostics,
        ],
        complete: complete && problems.length === 0,
      };
    },
    watch: (onChange) => tree.watch(onChange, context.logger),
  };
}

/** The same lists of resources and of Secrets' names are the same ResourceSet: whoever reads it sees that nothing is to be done. */
class SetMemory {
  readonly #ambassadorId: string;
  readonly #sets = new ResourceSets();
  #last: { resources: readonly AnyResource[]; secrets: readonly string[]; set: SettledSet } | null = null;

  constructor(ambassadorId: string) {
    this.#ambassadorId = ambassadorId;
  }

  of(resources: readonly AnyResource[], secrets: readonly string[]): SettledSet {
    const last = this.#last;
    if (last?.resources === resources && last.secrets === secrets) return last.set;
    const { resources: written, diagnostics } = this.#sets.of(resources);
    const ambassadorId = this.#ambassadorId;
    const whole = withConnectContexts(written, { secrets: new Set(secrets), ambassadorId });
    // Other Secrets: whoever compares sets is to look, though the resources are the same.
    const set = { resources: whole === last?.set.resources ? { ...whole } : whole, diagnostics };
    this.#last = { resources, secrets, set };
    return set;
  }
}

/**
 * The listing once what changed in it holds still: a file in the middle of being overwritten may be empty or half there,
 * and would take its objects away for a moment.
 */
async function settledListing(
  tree: FileTree,
  known: KnownFiles,
  how: "everything" | "noticed",
): Promise<TreeListing> {
  let listing = await (how === "everything" ? tree.list() : tree.look());
  for (let tries = 0; known.size > 0 && tries < 10; tries++) {
    const changed = changedFiles(listing, known);
    if (changed.length === 0 && listing.files.length === known.size) break;
    const areFinished =
      changed.length > 0 && changed.every(({ path, stamp }) => isReplaced(known.get(path)?.stamp, stamp));
    const age = Math.min(...changed.map(({ stamp }) => Date.now() - changedAt(stamp)));
    if (areFinished && age >= REPLACED_MS && listing.files.length === known.size) break;
    await new Promise((resolve) => setTimeout(resolve, areFinished ? REPLACED_MS : SETTLE_MS));
    const again = await tree.look(changed.map(({ path }) => path));
    const still = sameListing(again, listing);
    listing = again;
    if (still) break;
  }
  return listing;
}

const SETTLE_MS = 60;
/** Written elsewhere and renamed: only what else its writer renames is waited for, since the last that it has. */
const REPLACED_MS = 15;
/** Files read side by side. */
const AT_ONCE = 16;

function changedFiles({ files }: TreeListing, known: KnownFiles): ListedFile[] {
  return files.filter(({ path, stamp }) => known.get(path)?.stamp !== stamp);
}
