import { type FSWatcher, watch } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Has the kernel tell what changes in the folders of some files. It does not tell everything: of a folder that is renamed, or behind
 * a symbolic link, nothing is heard, and of a network mount either; whoever listens looks at all files now and then.
 */
export class FolderWatches {
  readonly #onTold: (path: string) => void;
  readonly #onFolder: (folder: string) => void;
  /** Null: the kernel does not tell of it. */
  readonly #watchers = new Map<string, FSWatcher | null>();

  /** `onTold`: something is with this path. `onFolder`: with any file of the folder, perhaps. */
  constructor(onTold: (path: string) => void, onFolder: (folder: string) => void) {
    this.#onTold = onTold;
    this.#onFolder = onFolder;
  }

  /** The kernel tells of every folder. */
  get areComplete(): boolean {
    for (const watcher of this.#watchers.values()) if (watcher === null) return false;
    return true;
  }

  /** Exactly the folders of these. */
  follow(paths: Iterable<string>): void {
    const folders = new Set<string>();
    for (const path of paths) folders.add(dirname(path));
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher?.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) if (!this.#watchers.has(folder)) this.#watch(folder);
  }

  /** Something has changed that nobody told of: another folder has its name now. */
  renew(path: string): void {
    const folder = dirname(path);
    if (!this.#watchers.has(folder)) return;
    this.#watchers.get(folder)?.close();
    this.#watch(folder);
  }

  stop(): void {
    for (const watcher of this.#watchers.values()) watcher?.close();
    this.#watchers.clear();
  }

  #watch(folder: string): void {
    this.#watchers.set(folder, null);
    try {
      const watcher = watch(folder, { persistent: false }, (_, name) => {
        // Kubernetes replaces all files of a folder at once, by the link `..data`.
        if (name === null || name.startsWith("..")) this.#onFolder(folder);
        else this.#onTold(join(folder, name));
      });
      watcher.on("error", () => {
        watcher.close();
        if (this.#watchers.get(folder) === watcher) this.#watchers.set(folder, null);
      });
      this.#watchers.set(folder, watcher);
    } catch {
      // It is not there, or there is no room for another watch: all files are looked at more often.
    }
  }
}
