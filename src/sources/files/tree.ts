import { type FSWatcher, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import type { Logger } from "../../telemetry/logger.ts";

/** A file and a stamp that changes whenever its content may have. */
export interface ListedFile {
  readonly path: string;
  readonly stamp: string;
}

/** The YAML files below some paths. Folders are read recursively; hidden entries (Kubernetes' `..data` too) are not followed. */
export class FileTree {
  readonly #paths: readonly string[];

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  async list(): Promise<{ files: ListedFile[]; problems: { path: string; message: string }[] }> {
    const files = new Map<string, ListedFile>();
    const problems: { path: string; message: string }[] = [];
    for (const path of this.#paths) await this.#visit(path, true, 0, files, problems);
    return { files: [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1)), problems };
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

  async #visit(
    path: string,
    named: boolean,
    depth: number,
    files: Map<string, ListedFile>,
    problems: { path: string; message: string }[],
  ): Promise<void> {
    try {
      const found = await stat(path);
      if (found.isDirectory()) {
        if (depth > MAX_DEPTH) return;
        for (const entry of (await readdir(path)).sort()) {
          if (entry.startsWith(".") || entry === "node_modules") continue;
          await this.#visit(join(path, entry), false, depth + 1, files, problems);
        }
      } else if (named || EXTENSIONS.has(extname(path))) {
        if (found.size > MAX_FILE_BYTES)
          problems.push({ path, message: `larger than ${MAX_FILE_BYTES} bytes` });
        // Nanoseconds are lost in mtimeMs; inode and change time tell a replaced file from an edited one.
        else files.set(path, { path, stamp: `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}` });
      }
    } catch (error) {
      // A file that went away between listing and looking is simply not there; a path that was named must be.
      if (named) problems.push({ path, message: (error as NodeJS.ErrnoException).code ?? "unreadable" });
    }
  }
}

const EXTENSIONS = new Set([".yaml", ".yml", ".json"]);
const DEBOUNCE_MS = 50;
const POLL_MS = 500;
const MAX_DEPTH = 32;
const MAX_FILE_BYTES = 32 * 1024 * 1024;
