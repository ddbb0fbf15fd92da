import { readdir, realpath, type Stats, stat } from "node:fs";
import { lstat } from "node:fs/promises";
import { basename, extname, join, sep } from "node:path";
import { promisify } from "node:util";
import type { Logger } from "../../telemetry/logger.ts";
import { errnoOf, type FileReading, irregularity, readRegularFile } from "./regular-file.ts";
import { watchPaths } from "./watch-paths.ts";

/** A file and a stamp that changes whenever its content may have. */
export interface ListedFile {
  readonly path: string;
  readonly stamp: string;
}

/** A path whose content is not known now: nothing may be concluded about it or what lies below it. */
export interface ListingProblem {
  readonly path: string;
  readonly message: string;
}

export interface TreeListing {
  /** By path. */
  readonly files: readonly ListedFile[];
  readonly problems: readonly ListingProblem[];
}

/**
 * The YAML files below some paths. Folders are read recursively, each once however many links lead to it; hidden entries
 * (Kubernetes' `..data` too) are not followed. Never rejects.
 */
export class FileTree {
  readonly #paths: readonly string[];
  readonly #given: ReadonlyMap<string, FileReading>;
  /** What was listed last; null: nothing yet. */
  #seen: Seen | null = null;
  /** What the kernel has named since; null: it may be anything. */
  #named: Set<string> | null = null;
  /** The kernel tells of changes below every path. */
  #isWatched = false;

  /** `given`: what is no file but counts as one, by the name that it is shown under. */
  constructor(paths: readonly string[], given: ReadonlyMap<string, FileReading> = new Map()) {
    this.#paths = paths;
    this.#given = given;
  }

  /** The text of a file that was listed. */
  async read(path: string): Promise<FileReading> {
    return this.#given.get(path) ?? readRegularFile(path, MAX_FILE_BYTES);
  }

  /** All of it, read anew. */
  async list(): Promise<TreeListing> {
    const named = this.#isWatched ? new Set<string>() : null;
    this.#named = named;
    const seen = await this.#read();
    this.#seen = seen;
    return seen.listing;
  }

  /**
   * The same as `list`, but where the kernel has told what changed, and that was files only, nothing else is looked at. So are
   * the files of `again`, whatever it told.
   */
  async look(again: readonly string[] = []): Promise<TreeListing> {
    const [seen, named] = [this.#seen, this.#named];
    if (seen === null || seen.hasLinks || seen.listing.problems.length > 0 || named === null)
      return this.list();
    const paths = new Set([...named, ...again]);
    if (paths.size === 0 || paths.size > MOST_NAMED) return this.list();
    this.#named = new Set();
    const files = [...seen.listing.files];
    for (const path of paths) {
      const stamp = await fileStamp(path);
      const index = seen.indexes.get(path);
      // A file that was and is one has another stamp; what neither was nor is there is a writer's passing name.
      if (stamp !== null && index !== undefined) files[index] = { path, stamp };
      else if (stamp !== null || index !== undefined || !(await isNothing(path, seen))) return this.list();
    }
    this.#seen = { ...seen, listing: { files, problems: [] } };
    return this.#seen.listing;
  }

  /** Calls back soon after a change; returns the function that ends it. */
  watch(onChange: () => void, logger: Logger): () => void {
    const stop = watchPaths(this.#paths, logger, {
      onNamed: (path) => {
        if (path === null) this.#named = null;
        else this.#named?.add(path);
      },
      onChange,
      isOld: async () => {
        const now = await this.#read();
        const isSame = this.#seen === null || sameListing(now.listing, this.#seen.listing);
        if (!isSame) this.#named = null;
        return !isSame;
      },
      onWatched: (isWatched) => {
        this.#isWatched = isWatched;
        this.#named = null;
      },
    });
    return () => {
      this.#isWatched = false;
      this.#named = null;
      stop();
    };
  }

  async #read(): Promise<Seen> {
    const listing = new Listing();
    for (const name of this.#given.keys()) listing.file(name, "given");
    for (const path of this.#paths) await this.#visit(path, true, null, listing);
    const files = [...listing.files.values()].sort(byPath);
    const indexes = new Map(files.map(({ path }, index) => [path, index]));
    const problems = [...listing.problems.values()].sort(byPath);
    return { listing: { files, problems }, indexes, hasLinks: listing.hasLinks };
  }

  async #visit(path: string, link: boolean, above: Above | null, listing: Listing): Promise<void> {
    let found: Stats;
    try {
      found = await statOf(path);
    } catch (error) {
      // What went away between listing and looking is simply not there; a path that was named must be, and where a link
      // leads to something was.
      if (above === null || (link ? mayMatter(path) : errnoOf(error) !== "ENOENT"))
        listing.problem(path, errnoOf(error));
      return;
    }
    if (found.isDirectory()) await this.#visitFolder(path, link, above, listing);
    else if (above === null || EXTENSIONS.has(extname(path))) {
      const irregular = irregularity(found);
      if (irregular !== null) listing.problem(path, irregular);
      else if (found.size > MAX_FILE_BYTES) listing.problem(path, `larger than ${MAX_FILE_BYTES} bytes`);
      // Nanoseconds are lost in mtimeMs; inode and change time tell a replaced file from an edited one.
      else listing.file(path, stampOf(found));
    }
  }

  async #visitFolder(path: string, link: boolean, above: Above | null, listing: Listing): Promise<void> {
    try {
      // By name, not by inode: some file systems give many folders one number.
      const real = link ? await realPathOf(path) : join(above?.real ?? "", basename(path));
      // A link back up, or to what is read already under another name: nothing is missed.
      if (listing.folders.has(real)) return;
      listing.folders.add(real);
      const depth = (above?.depth ?? 0) + 1;
      if (depth > MAX_DEPTH) {
        listing.problem(path, `more than ${MAX_DEPTH} folders deep`);
        return;
      }
      const entries = await entriesOf(path, { withFileTypes: true });
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
        listing.hasLinks ||= entry.isSymbolicLink();
        await this.#visit(join(path, entry.name), entry.isSymbolicLink(), { real, depth }, listing);
      }
    } catch (error) {
      if (above === null || errnoOf(error) !== "ENOENT") listing.problem(path, errnoOf(error));
    }
  }
}

/** Less than the same of `node:fs/promises` costs, and all is looked at twice a second. */
const [statOf, realPathOf, entriesOf] = [promisify(stat), promisify(realpath.native), promisify(readdir)];

/** The folder that an entry stands in; null for a path that was named. */
interface Above {
  readonly real: string;
  readonly depth: number;
}

/** One reading of the paths. */
class Listing {
  readonly files = new Map<string, ListedFile>();
  readonly problems = new Map<string, ListingProblem>();
  /** The real paths of the folders read. */
  readonly folders = new Set<string>();
  /** What changes behind a link is told under another name, or not at all. */
  hasLinks = false;

  file(path: string, stamp: string): void {
    this.files.set(path, { path, stamp });
  }

  problem(path: string, message: string): void {
    this.problems.set(path, { path, message });
  }
}

interface Seen {
  readonly listing: TreeListing;
  /** Of each file in the listing. */
  readonly indexes: ReadonlyMap<string, number>;
  readonly hasLinks: boolean;
}

/** Whether both have the same files in the same state. */
export function sameListing(a: TreeListing, b: TreeListing): boolean {
  if (a.files.length !== b.files.length || JSON.stringify(a.problems) !== JSON.stringify(b.problems))
    return false;
  return a.files.every(({ path, stamp }, index) => {
    const other = b.files[index];
    return other?.path === path && other.stamp === stamp;
  });
}

/** Whether another file took the place of one: its writer had finished it before. */
export function isReplaced(before: string | undefined, now: string): boolean {
  return before !== undefined && before.split(":", 1)[0] !== now.split(":", 1)[0];
}

/** When a stamp's file was changed or put there: milliseconds since the epoch, by the clock of its file system. */
export function changedAt(stamp: string): number {
  return Number(stamp.slice(stamp.lastIndexOf(":") + 1));
}

function stampOf({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
}

/** Null where no file of ours is. */
async function fileStamp(path: string): Promise<string | null> {
  const found = await lstat(path).catch(() => null);
  return found?.isFile() === true && found.size <= MAX_FILE_BYTES ? stampOf(found) : null;
}

/** Nothing is there, and nothing was known of it or below it. */
async function isNothing(path: string, { listing }: Seen): Promise<boolean> {
  const isGone = await lstat(path).then(
    () => false,
    (error: unknown) => errnoOf(error) === "ENOENT",
  );
  return isGone && !listing.files.some((file) => file.path.startsWith(`${path}${sep}`));
}

function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : 1;
}

/** Whether an entry that leads nowhere could have been a file or folder of ours. */
function mayMatter(path: string): boolean {
  const extension = extname(path);
  return extension === "" || EXTENSIONS.has(extension);
}

const EXTENSIONS = new Set([".yaml", ".yml", ".json"]);
/** More are found faster in one listing. */
const MOST_NAMED = 64;
const MAX_DEPTH = 32;
export const MAX_FILE_BYTES = 32 * 1024 * 1024;
