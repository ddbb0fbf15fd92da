import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import type {
  CredentialMaterial,
  CredentialOrigin,
  MaterialPart,
  Unreadable,
} from "../../credentials/credential.ts";
import type { SourcePosition } from "../../diagnostics/diagnostic.ts";
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
 * Certificates by file path: read, offered, looked at four times a second, since issuers replace files in every way there
 * is (overwrite, rename, symlink swap), and read again when they may have changed. What is being written is offered once
 * two readings agree, so that a key and a certificate of different generations are not published as a pair. Keeps digests,
 * never what the files hold.
 */
export class CertificateFiles {
  readonly #sink: CredentialSink;
  readonly #folders: readonly string[] | undefined;
  readonly #followed = new Map<string, Followed>();
  #timer: NodeJS.Timeout | undefined;
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
      this.#followed.set(set.name, { set, seen: reading.digest, offered: reading.digest, stamp: null });
      this.#sink.offer(set.name, reading.material, originOf(set));
    }
    if (this.#timer === undefined && sets.length > 0 && !this.#stopped) this.#poll();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #poll(): void {
    this.#timer = setTimeout(async () => {
      const began = performance.now();
      const all = [...this.#followed.values()];
      const isDue = began >= this.#nextRound;
      for (const followed of isDue ? all : all.filter(isUnsettled)) await this.#look(followed);
      // Thousands of files are looked at less often, so that it does not cost more than a tenth of the time.
      const ended = performance.now();
      if (isDue) this.#nextRound = ended + Math.min((ended - began) * 9, LONGEST_REST_MS);
      if (!this.#stopped) this.#poll();
    }, POLL_MS).unref();
  }

  async #look(followed: Followed): Promise<void> {
    const { set } = followed;
    const stamp = await stampOf(set);
    if (stamp !== null && stamp === followed.stamp) return;
    const { material, digest } = await read(set, this.#folders);
    // While that was read, others may have come in its place.
    if (this.#stopped || this.#followed.get(set.name) !== followed || followed.set !== set) return;
    const settled = followed.seen === digest;
    followed.seen = digest;
    // Half of a change is read once more, whatever the stamp says.
    followed.stamp = settled ? stamp : null;
    if (!settled || followed.offered === digest) return;
    followed.offered = digest;
    this.#sink.offer(set.name, material, originOf(set));
  }
}

const POLL_MS = 250;
const LONGEST_REST_MS = 2000;
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
  /** Of the files before they were read; null: they may have changed without its telling. */
  stamp: string | null;
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
  for (const part of PARTS) {
    const path = set[part];
    if (path === undefined) continue;
    try {
      const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
      if (Number(ctimeNs / 1_000_000n) > Date.now() - RECENT_MS) return null;
      stamps.push(`${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`);
    } catch (error) {
      stamps.push(errnoOf(error));
    }
  }
  return stamps.join("|");
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
