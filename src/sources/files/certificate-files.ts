import { hash } from "node:crypto";
import { dirname } from "node:path";
import type {
  CredentialMaterial,
  CredentialOrigin,
  MaterialPart,
  Unreadable,
} from "../../credentials/credential.ts";
import type { SourcePosition } from "../../diagnostics/diagnostic.ts";
import { type FileStamp, isSameStamp, stampsOf } from "./file-stamps.ts";
import { FolderWatches } from "./folder-watches.ts";
import { type FileReading, readRegularFile } from "./regular-file.ts";
import type { CredentialSink } from "./secret-offers.ts";

/** What a TLSContext names by path. */
export interface CertificateFileSet {
  readonly name: string;
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly trustAnchors?: string;
  /** `trustAnchors` are for clients: nothing is to be said by them about the chain. */
  readonly anchorsAreOfClients?: true;
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
    (folder) => this.#told([...this.#followed.values()].filter(({ paths }) => areIn(paths, folder))),
  );
  /** Those of which what was read last is not offered yet: it is being written, perhaps. */
  readonly #unsettled = new Set<Followed>();
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
    for (const [name, followed] of this.#followed) {
      if (names.has(name)) continue;
      this.#sink.remove(name);
      this.#forget(followed);
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
        this.#unsettled.add(known);
        continue;
      }
      // What other paths held is not the previous one of these.
      if (known !== undefined && !samePaths) this.#sink.remove(set.name);
      if (known !== undefined) this.#forget(known);
      const { digest } = reading;
      const paths = pathsOf(set);
      this.#followed.set(set.name, { set, paths, seen: digest, seenAt: 0, offered: digest, stamp: null });
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

  #forget(followed: Followed): void {
    this.#followed.delete(followed.set.name);
    this.#unsettled.delete(followed);
    this.#toldOf.delete(followed);
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
    const candidates = isDue ? this.#followed.values() : new Set([...this.#unsettled, ...told]);
    const due = [...candidates].filter(
      (each) => !this.#unsettled.has(each) || began - each.seenAt >= SETTLE_MS,
    );
    for (let next = 0; next < due.length && !this.#stopped; next += AT_ONCE) {
      const some = due.slice(next, next + AT_ONCE);
      const stamps = await stampsOf(some.map(({ paths }) => paths));
      const changed = some
        .map((each, at) => ({ each, stamp: stamps[at] ?? null }))
        .filter(({ each, stamp }) => !isSameStamp(stamp, each.stamp));
      await Promise.all(changed.map(({ each, stamp }) => this.#look(each, stamp, told.has(each))));
    }
    if (!isDue) return;
    // Thousands of files are looked at less often, so that it costs less than a tenth of the time, and least where the kernel tells.
    const ended = performance.now();
    this.#nextRound = this.#watches.areComplete
      ? ended + Math.min(this.#followed.size * REST_OF_EACH_MS, LONGEST_WATCHED_MS)
      : ended + Math.min((ended - began) * 9, LONGEST_REST_MS);
  }

  /** `stamp`: of its files as they are to be read. */
  async #look(followed: Followed, stamp: FileStamp | null, isTold: boolean): Promise<void> {
    const { set } = followed;
    const { material, digest } = await read(set, this.#folders);
    // While that was read, others may have come in its place.
    if (this.#stopped || this.#followed.get(set.name) !== followed || followed.set !== set) return;
    const settled = followed.seen === digest;
    if (!settled && !isTold && !this.#unsettled.has(followed))
      for (const path of followed.paths) this.#watches.renew(path);
    followed.seen = digest;
    followed.seenAt = performance.now();
    // Half of a change is read once more, whatever the stamp says.
    followed.stamp = settled ? stamp : null;
    const isNew = followed.offered !== digest;
    if (isNew && !settled) this.#unsettled.add(followed);
    else this.#unsettled.delete(followed);
    if (!isNew || !settled) return;
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
/** As much as a Secret may hold. */
const MAX_FILE_BYTES = 1024 * 1024;
const PARTS = ["certificateChain", "privateKey", "trustAnchors", "crl", "ocspStaple"] as const;

interface Followed {
  set: CertificateFileSet;
  readonly paths: readonly string[];
  /** Digests of the last reading, and of the last one that was offered. */
  seen: string;
  offered: string;
  /** `performance.now()` of the last reading. */
  seenAt: number;
  /** Of the files before they were read; null: they may have changed without its telling. */
  stamp: FileStamp | null;
}

function pathsOf(set: CertificateFileSet): string[] {
  return PARTS.flatMap((part) => set[part] ?? []);
}

function areIn(paths: readonly string[], folder: string): boolean {
  return paths.some((path) => dirname(path) === folder);
}

function usersOf(all: Iterable<Followed>): ReadonlyMap<string, readonly Followed[]> {
  const users = new Map<string, Followed[]>();
  for (const followed of all)
    for (const path of followed.paths) {
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

/** A file that is named and cannot be read is given as unreadable, with the reason: it must not count as not named. */
async function read(
  set: CertificateFileSet,
  folders: readonly string[] | undefined,
): Promise<{ material: CredentialMaterial; digest: string }> {
  const texts: Partial<Record<MaterialPart, string>> = {};
  const unreadable: Partial<Record<MaterialPart, Unreadable>> = {};
  const named = PARTS.flatMap((part) => (set[part] === undefined ? [] : [{ part, path: set[part] }]));
  // Side by side, which costs less.
  const readings = await Promise.all(
    named.map(({ part, path }) =>
      readRegularFile(path, MAX_FILE_BYTES, folders, part === "ocspStaple" ? "base64" : "utf8"),
    ),
  );
  for (const [index, { part, path }] of named.entries()) {
    const reading = readings[index] as FileReading;
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
  const digest = hash("sha256", JSON.stringify([texts, reasons]));
  const material = {
    ...texts,
    ...(set.anchorsAreOfClients === true ? { anchorsAreOfClients: true as const } : {}),
    ...(reasons.length > 0 ? { unreadable } : {}),
  };
  return { material, digest };
}
