import { createHash } from "node:crypto";
import { type BigIntStats, stat } from "node:fs";
import { dirname } from "node:path";
import type {
  CredentialMaterial,
  CredentialOrigin,
  MaterialPart,
  Unreadable,
} from "../../credentials/credential.ts";
import type { SourcePosition } from "../../diagnostics/diagnostic.ts";
import { FolderWatches } from "./folder-watches.ts";
import type { CredentialSink } from "./secret-offers.ts";
import { errnoOf, readRegularFile } from "./regular-file.ts";

/** What a TLSContext names by path. */
export interface CertificateFileSet {
  readonly name: string;
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly trustAnchors?: string;
  readonly crl?: string;
  readonly ocspStaple?: string;
  readonly origin: CredentialOrigin;
  /** Where each path is written, for the findings about its file. */
  readonly places: Readonly<Partial<Record<MaterialPart, SourcePosition>>>;
}

/**
 * Certificates by file path: read, offered, looked at when the kernel tells of them and four times a second, since issuers replace
 * files in every way there is (overwrite, rename, symlink swap), and read again when they may have changed. What is being written is offered once
 * two readings agree, so that a key and a certificate of different generations are not published as a pair. Keeps digests,
 * never what the files hold.
 */
export class CertificateFiles {
  readonly #sink: CredentialSink;
  readonly #folders: readonly string[] | undefined;
  readonly #followed = new Map<string, Followed>();
  /** By path, those that have a file there. */
  #users: ReadonlyMap<string, readonly Followed[]> = new Map();
  readonly #watches = new FolderWatches(
    (path) => this.#told(this.#users.get(path) ?? []),
    (folder) => this.#told([...this.#followed.values()].filter(({ set }) => isIn(set, folder))),
  );
  /** Those that the kernel has told of since they were looked at. */
  #toldOf = new Set<Followed>();
  #timer: NodeJS.Timeout | undefined;
  /** When the timer ends; Infinity while there is none, as files are being looked at. */
  #nextLook = Number.POSITIVE_INFINITY;
  #stopped = false;
  /** `performance.now()` from which all are looked at again. */
  #nextRound = 0;

  /** With `folders`, what is outside of them is refused, wherever symbolic links lead. */
  constructor(sink: CredentialSink, folders?: readonly string[]) {
    this.#sink = sink;
    this.#folders = folders;
  }

  /** Watches exactly these from now on; the first reading of a new one is offered before this resolves. */
  async follow(sets: readonly CertificateFileSet[]): Promise<void> {
    const names = new Set(sets.map(({ name }) => name));
    for (const name of this.#followed.keys()) {
      if (names.has(name)) continue;
      this.#sink.remove(name);
      this.#followed.delete(name);
    }
    for (const set of sets) {
      const known = this.#followed.get(set.name);
      if (known !== undefined && JSON.stringify(known.set) === JSON.stringify(set)) continue;
      const reading = await read(set, this.#folders);
      const samePaths = known !== undefined && PARTS.every((part) => known.set[part] === set[part]);
      // Written elsewhere in the YAML: the findings move along, and files in the middle of a change stay for the poll.
      if (samePaths && known.offered !== reading.digest) {
        known.set = set;
        known.offered = "";
        known.stamp = null;
        continue;
      }
      // What other paths held is not the previous one of these.
      if (known !== undefined && !samePaths) this.#sink.remove(set.name);
      const { digest } = reading;
      this.#followed.set(set.name, { set, seen: digest, seenAt: 0, offered: digest, stamp: null });
      this.#sink.offer(set.name, reading.material, originOf(set));
    }
    if (this.#stopped) return;
    this.#users = usersOf(this.#followed.values());
    this.#watches.follow(this.#users.keys());
    if (this.#timer === undefined && sets.length > 0) this.#lookIn(POLL_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#watches.stop();
  }

  #told(all: readonly Followed[]): void {
    for (const followed of all) this.#toldOf.add(followed);
    // What is written beside it at once comes along.
    if (all.length > 0 && this.#nextLook > performance.now() + SOON_MS) this.#lookIn(SOON_MS);
  }

  #lookIn(ms: number): void {
    // The looking that goes on now asks for the next by itself.
    if (this.#timer !== undefined && this.#nextLook === Number.POSITIVE_INFINITY) return;
    clearTimeout(this.#timer);
    this.#nextLook = performance.now() + ms;
    this.#timer = setTimeout(async () => {
      this.#nextLook = Number.POSITIVE_INFINITY;
      await this.#round();
      if (this.#stopped) return;
      this.#nextLook = 0;
      this.#lookIn(this.#toldOf.size > 0 ? SOON_MS : POLL_MS);
    }, ms).unref();
  }

  async #round(): Promise<void> {
    const began = performance.now();
    const isDue = began >= this.#nextRound;
    const told = this.#toldOf;
    this.#toldOf = new Set();
    const mayLook = (followed: Followed): boolean =>
      isUnsettled(followed) ? began - followed.seenAt >= SETTLE_MS : isDue || told.has(followed);
    const due = [...this.#followed.values()].filter(mayLook);
    for (let next = 0; next < due.length && !this.#stopped; next += AT_ONCE)
      await Promise.all(due.slice(next, next + AT_ONCE).map((each) => this.#look(each, told.has(each))));
    if (!isDue) return;
    // Thousands of files are looked at less often, so that it costs less than a tenth of the time, and least where the kernel tells.
    const ended = performance.now();
    this.#nextRound = this.#watches.areComplete
      ? ended + Math.min(this.#followed.size * REST_OF_EACH_MS, LONGEST_WATCHED_MS)
      : ended + Math.min((ended - began) * 9, LONGEST_REST_MS);
  }

  async #look(followed: Followed, isTold: boolean): Promise<void> {
    const { set } = followed;
    const stamp = await stampOf(set);
    if (stamp !== null && stamp === followed.stamp) return;
    const { material, digest } = await read(set, this.#folders);
    // While that was read, others may have come in its place.
    if (this.#stopped || this.#followed.get(set.name) !== followed || followed.set !== set) return;
    const settled = followed.seen === digest;
    if (!settled && !isTold && !isUnsettled(followed))
      for (const path of pathsOf(set)) this.#watches.renew(path);
    followed.seen = digest;
    followed.seenAt = performance.now();
    // Half of a change is read once more, whatever the stamp says.
    followed.stamp = settled ? stamp : null;
    if (!settled || followed.offered === digest) return;
    followed.offered = digest;
    this.#sink.offer(set.name, material, originOf(set));
  }
}

const POLL_MS = 250;
/** How long what was read must have stood to be offered: somewhat less than until it is looked at again. */
const SETTLE_MS = 200;
/** An issuer writes a key and a certificate one after the other. */
const SOON_MS = 25;
const LONGEST_REST_MS = 2000;
/** Less than half a percent of the time. */
const REST_OF_EACH_MS = 5;
const LONGEST_WATCHED_MS = 5000;
/** Looked at side by side, which costs a fifth of what it costs one by one. */
const AT_ONCE = 32;
/** More than the coarsest time of a change that file systems keep. */
const RECENT_MS = 2500;
/** As much as a Secret may hold. */
const MAX_FILE_BYTES = 1024 * 1024;
const PARTS = ["certificateChain", "privateKey", "trustAnchors", "crl", "ocspStaple"] as const;

interface Followed {
  set: CertificateFileSet;
  /** Digests of the last reading, and of the last one that was offered. */
  seen: string;
  offered: string;
  /** `performance.now()` of the last reading. */
  seenAt: number;
  /** Of the files before they were read; null: they may have changed without its telling. */
  stamp: string | null;
}

function pathsOf(set: CertificateFileSet): string[] {
  return PARTS.flatMap((part) => set[part] ?? []);
}

function isIn(set: CertificateFileSet, folder: string): boolean {
  return pathsOf(set).some((path) => dirname(path) === folder);
}

function usersOf(all: Iterable<Followed>): ReadonlyMap<string, readonly Followed[]> {
  const users = new Map<string, Followed[]>();
  for (const followed of all)
    for (const path of pathsOf(followed.set)) {
      const known = users.get(path);
      if (known === undefined) users.set(path, [followed]);
      else known.push(followed);
    }
  return users;
}

function originOf(set: CertificateFileSet): CredentialOrigin {
  const named = PARTS.flatMap((part) => (set[part] === undefined ? [] : [[part, set[part]]]));
  return { ...set.origin, files: Object.fromEntries(named) };
}

/** What it holds was not offered yet: it is being written, perhaps. */
function isUnsettled({ seen, offered }: Followed): boolean {
  return seen !== offered;
}

/**
 * Changes whenever a file may have: another inode, size or time. Null where it would not tell, as the last change is so
 * recent that another one may have the same time.
 */
async function stampOf(set: CertificateFileSet): Promise<string | null> {
  const stamps: string[] = [];
  for (const found of await Promise.all(pathsOf(set).map(lookAt))) {
    if (typeof found === "string") {
      stamps.push(found);
      continue;
    }
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    if (Number(ctimeNs / 1_000_000n) > Date.now() - RECENT_MS) return null;
    stamps.push(`${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`);
  }
  return stamps.join("|");
}

/** An errno where it cannot be looked at. Half the cost of the same of `node:fs/promises`, and there are thousands. */
function lookAt(path: string): Promise<BigIntStats | string> {
  return new Promise((resolve) =>
    stat(path, { bigint: true }, (error, found) => resolve(error === null ? found : errnoOf(error))),
  );
}

/** A file that is named and cannot be read is given as unreadable, with the reason: it must not count as not named. */
async function read(
  set: CertificateFileSet,
  folders: readonly string[] | undefined,
): Promise<{ material: CredentialMaterial; digest: string }> {
  const texts: Partial<Record<MaterialPart, string>> = {};
  const unreadable: Partial<Record<MaterialPart, Unreadable>> = {};
  for (const part of PARTS) {
    const path = set[part];
    if (path === undefined) continue;
    const reading = await readRegularFile(
      path,
      MAX_FILE_BYTES,
      folders,
      part === "ocspStaple" ? "base64" : "utf8",
    );
    texts[part] = reading.ok ? reading.text : "";
    if (reading.ok) continue;
    const source = set.places[part];
    unreadable[part] = {
      ...(reading.isOutside === true
        ? { code: "outside-group", message: `${path} is outside the folders that this group may read` }
        : { message: `${path} cannot be read: ${reading.reason}` }),
      ...(source === undefined ? {} : { source }),
    };
  }
  const reasons = Object.values(unreadable).map(({ message }) => message);
  const digest = createHash("sha256")
    .update(JSON.stringify([texts, reasons]))
    .digest("hex");
  return { material: { ...texts, ...(reasons.length > 0 ? { unreadable } : {}) }, digest };
}
