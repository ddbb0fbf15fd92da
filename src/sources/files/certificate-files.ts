import { createHash } from "node:crypto";
import type {
  CredentialMaterial,
  CredentialOrigin,
  MaterialPart,
  Unreadable,
} from "../../credentials/credential.ts";
import type { SourcePosition } from "../../diagnostics/diagnostic.ts";
import type { CredentialSink } from "./secret-offers.ts";
import { readRegularFile } from "./regular-file.ts";

/** What a TLSContext names by path. */
export interface CertificateFileSet {
  readonly name: string;
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly trustAnchors?: string;
  readonly crl?: string;
  readonly origin: CredentialOrigin;
  /** Where each path is written, for the findings about its file. */
  readonly places: Readonly<Partial<Record<MaterialPart, SourcePosition>>>;
}

/**
 * Certificates by file path: read, offered, and read again four times a second, since issuers replace files in every way
 * there is (overwrite, rename, symlink swap). What is being written is offered once two readings agree, so that a key and
 * a certificate of different generations are not published as a pair. Keeps digests, never what the files hold.
 */
export class CertificateFiles {
  readonly #sink: CredentialSink;
  readonly #folders: readonly string[] | undefined;
  readonly #followed = new Map<string, Followed>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

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
        continue;
      }
      // What other paths held is not the previous one of these.
      if (known !== undefined && !samePaths) this.#sink.remove(set.name);
      this.#followed.set(set.name, { set, seen: reading.digest, offered: reading.digest });
      this.#sink.offer(set.name, reading.material, set.origin);
    }
    if (this.#timer === undefined && sets.length > 0 && !this.#stopped) this.#poll();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #poll(): void {
    this.#timer = setTimeout(async () => {
      for (const followed of [...this.#followed.values()]) {
        const { set } = followed;
        const { material, digest } = await read(set, this.#folders);
        // While that was read, others may have come in its place.
        if (this.#stopped || this.#followed.get(set.name) !== followed || followed.set !== set) continue;
        const settled = followed.seen === digest;
        followed.seen = digest;
        if (!settled || followed.offered === digest) continue;
        followed.offered = digest;
        this.#sink.offer(set.name, material, set.origin);
      }
      if (!this.#stopped) this.#poll();
    }, POLL_MS).unref();
  }
}

const POLL_MS = 250;
/** As much as a Secret may hold. */
const MAX_FILE_BYTES = 1024 * 1024;
const PARTS = ["certificateChain", "privateKey", "trustAnchors", "crl"] as const;

interface Followed {
  set: CertificateFileSet;
  /** Digests of the last reading, and of the last one that was offered. */
  seen: string;
  offered: string;
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
    const reading = await readRegularFile(path, MAX_FILE_BYTES, folders);
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
