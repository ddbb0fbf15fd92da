import type { CredentialMaterial, CredentialOrigin } from "./credential.ts";
import type { PersistentStream } from "./persistent-stream.ts";

/**
 * A source of credentials or endpoints that is asked over a socket and goes on telling what changes. What to follow is
 * the whole list, each time it may have changed: what is on it no more is ended and withdrawn.
 */
export interface Follower<Wanted> {
  /** Resolves when each of the new ones has answered once or has failed to, or after a bounded time: never rejects. */
  follow(wanted: readonly Wanted[]): Promise<void>;
  stop(): void;
}

/** The credential store, as an issuer sees it. */
export interface IssuerSink {
  /** Certificate, key and CA at once. */
  offer(name: string, material: CredentialMaterial, origin: CredentialOrigin): void;
  /** One of them, judged with what was delivered of the other. */
  deliver(name: string, material: CredentialMaterial, origin: CredentialOrigin): Verdicts;
  reportIssuer(name: string, origin: CredentialOrigin, trouble: string | null): void;
  remove(name: string): void;
}

/** What is against each part that was delivered last, one sentence; null: it is in use, or nothing came. */
export interface Verdicts {
  readonly certificate: string | null;
  readonly ca: string | null;
}

/** What tells a source from others. `Origin`: who wants it, which may move while it stays the same. */
export interface StreamSource<Wanted extends { readonly origin: unknown }> {
  /** The same for what is the same source. */
  keyOf(wanted: Wanted): string;
  /** Begins to ask. `originNow` is for findings. */
  open(wanted: Wanted, originNow: () => Wanted["origin"]): readonly PersistentStream[];
  /** Nobody wants it any more. */
  withdraw(wanted: Wanted): void;
}

/** Follows what is wanted over streams that are opened once each, whatever else comes and goes. */
export function followStreams<Wanted extends { readonly origin: unknown }>(
  source: StreamSource<Wanted>,
): Follower<Wanted> {
  const followed = new Map<string, { wanted: Wanted; streams: readonly PersistentStream[] }>();
  return {
    async follow(all) {
      const keys = new Set(all.map((wanted) => source.keyOf(wanted)));
      for (const [key, { wanted, streams }] of followed) {
        if (keys.has(key)) continue;
        for (const stream of streams) stream.stop();
        followed.delete(key);
        source.withdraw(wanted);
      }
      const begun: Promise<void>[] = [];
      for (const wanted of all) {
        const key = source.keyOf(wanted);
        const known = followed.get(key);
        if (known !== undefined) {
          known.wanted = wanted;
          continue;
        }
        const entry = { wanted, streams: [] as readonly PersistentStream[] };
        followed.set(key, entry);
        entry.streams = source.open(wanted, () => entry.wanted.origin);
        begun.push(...entry.streams.map(({ first }) => first));
      }
      await Promise.all(begun);
    },
    stop() {
      for (const { streams } of followed.values()) for (const stream of streams) stream.stop();
      followed.clear();
    },
  };
}

/** What stands against one name of which several streams each deliver a part: all of it in one sentence, null for nothing. */
export function troublesOfParts<Part>(
  report: (trouble: string | null) => void,
): (part: Part, trouble: string | null) => void {
  const troubles = new Map<Part, string>();
  return (part, trouble) => {
    if (trouble === null) troubles.delete(part);
    else troubles.set(part, trouble);
    const said = [...new Set(troubles.values())].join("; ");
    report(said === "" ? null : said);
  };
}
