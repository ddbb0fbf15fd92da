import { type FSWatcher, type Stats, watch } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import type { Logger } from "../../telemetry/logger.ts";
import { errnoOf, irregularity } from "./regular-file.ts";

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

/**
 * The YAML files below some paths. Folders are read recursively, each once however many links lead to it; hidden entries
 * (Kubernetes' `..data` too) are not followed. Never rejects.
 */
export class FileTree {
  readonly #paths: readonly string[];

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  async list(): Promise<{ files: readonly ListedFile[]; problems: readonly ListingProblem[] }> {
    const listing = new Listing();
    for (const path of this.#paths) await this.#visit(path, true, null, listing);
    return {
      files: [...listing.files.values()].sort(byPath),
      problems: [...listing.problems.values()].sort(byPath),
    };
  }

  /**
   * Calls back soon after a change. The kernel's events make it fast; a comparison of stamps twice a second makes it
   * sure, where events are lost or do not exist (network mounts, a path that is replaced).
   */
  watch(onChange: () => void, logger: Logger): () => void {
    const watchers: FSWatcher[] = [];
    let debounce: NodeJS.Timeout | undefined;
    const soon = (): void => {
      clearTimeout(debounce);
      debounce = setTimeout(onChange, DEBOUNCE_MS);
    };
    for (const path of this.#paths) {
      try {
        const watcher = watch(path, { recursive: true, persistent: false }, soon);
        watcher.on("error", () => watcher.close());
        watchers.push(watcher);
      } catch (error) {
        logger.debug(
          { path, code: (error as NodeJS.ErrnoException).code },
          "no file events; comparing stamps instead",
        );
      }
    }
    let last = "";
    let stopped = false;
    const poll = async (): Promise<void> => {
      const { files, problems } = await this.list();
      const now = JSON.stringify([files, problems]);
      if (last !== "" && now !== last && !stopped) soon();
      last = now;
      if (!stopped) timer = setTimeout(poll, POLL_MS).unref();
    };
    let timer = setTimeout(poll, POLL_MS).unref();
    return () => {
      stopped = true;
      clearTimeout(timer);
      clearTimeout(debounce);
      for (const watcher of watchers) watcher.close();
    };
  }

  async #visit(path: string, link: boolean, above: Above | null, listing: Listing): Promise<void> {
    let found: Stats;
    try {
      found = await stat(path);
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
      else listing.file(path, `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`);
    }
  }

  async #visitFolder(path: string, link: boolean, above: Above | null, listing: Listing): Promise<void> {
    try {
      // By name, not by inode: some file systems give many folders one number.
      const real = link ? await realpath(path) : join(above?.real ?? "", basename(path));
      // A link back up, or to what is read already under another name: nothing is missed.
      if (listing.folders.has(real)) return;
      listing.folders.add(real);
      const depth = (above?.depth ?? 0) + 1;
      if (depth > MAX_DEPTH) {
        listing.problem(path, `more than ${MAX_DEPTH} folders deep`);
        return;
      }
      const entries = await readdir(path, { withFileTypes: true });
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
        await this.#visit(join(path, entry.name), entry.isSymbolicLink(), { real, depth }, listing);
      }
    } catch (error) {
      if (above === null || errnoOf(error) !== "ENOENT") listing.problem(path, errnoOf(error));
    }
  }
}

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

  file(path: string, stamp: string): void {
    this.files.set(path, { path, stamp });
  }

  problem(path: string, message: string): void {
    this.problems.set(path, { path, message });
  }
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
const DEBOUNCE_MS = 50;
const POLL_MS = 500;
const MAX_DEPTH = 32;
export const MAX_FILE_BYTES = 32 * 1024 * 1024;
