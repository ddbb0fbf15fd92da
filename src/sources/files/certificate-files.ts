import { readFile } from "node:fs/promises";
import type { CredentialMaterial } from "../../credentials/credential.ts";
import type { CredentialOrigin } from "../../credentials/store.ts";
import type { CredentialSink } from "./files.ts";

/** What a TLSContext names by path. */
export interface CertificateFileSet {
  readonly name: string;
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly trustAnchors?: string;
  readonly origin: CredentialOrigin;
}

/**
 * Certificates by file path: read, offered, and read again twice a second, since issuers replace files in every way
 * there is (overwrite, rename, symlink swap). What is being written is offered once two readings agree, so that a key and
 * a certificate of different generations are not published as a pair.
 */
export class CertificateFiles {
  readonly #sink: CredentialSink;
  #sets: readonly CertificateFileSet[] = [];
  readonly #seen = new Map<string, string>();
  readonly #offered = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(sink: CredentialSink) {
    this.#sink = sink;
  }

  /** Watches exactly these from now on; the first reading of a new one is offered before this resolves. */
  async follow(sets: readonly CertificateFileSet[]): Promise<void> {
    const names = new Set(sets.map(({ name }) => name));
    for (const { name } of this.#sets) {
      if (names.has(name)) continue;
      this.#sink.remove(name);
      this.#seen.delete(name);
      this.#offered.delete(name);
    }
    this.#sets = sets;
    for (const set of sets) if (!this.#offered.has(set.name)) this.#offer(set, await readSet(set));
    if (this.#timer === undefined && sets.length > 0 && !this.#stopped) this.#poll();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #poll(): void {
    this.#timer = setTimeout(async () => {
      for (const set of this.#sets) {
        const material = await readSet(set);
        const text = JSON.stringify(material);
        const settled = this.#seen.get(set.name) === text;
        this.#seen.set(set.name, text);
        if (settled && this.#offered.get(set.name) !== text) this.#offer(set, material);
      }
      if (!this.#stopped) this.#poll();
    }, POLL_MS).unref();
  }

  #offer(set: CertificateFileSet, material: CredentialMaterial): void {
    this.#offered.set(set.name, JSON.stringify(material));
    this.#sink.offer(set.name, material, set.origin);
  }
}

const POLL_MS = 250;

/** A file that is named and cannot be read counts as empty: its credential is then refused with a reason. */
async function readSet(set: CertificateFileSet): Promise<CredentialMaterial> {
  const read = async (path: string | undefined): Promise<string | undefined> =>
    path === undefined ? undefined : readFile(path, "utf8").catch(() => "");
  const [certificateChain, privateKey, trustAnchors] = await Promise.all([
    read(set.certificateChain),
    read(set.privateKey),
    read(set.trustAnchors),
  ]);
  return {
    ...(certificateChain === undefined ? {} : { certificateChain }),
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(trustAnchors === undefined ? {} : { trustAnchors }),
  };
}
