/**
 * A source of credentials or endpoints that is asked over a socket and goes on telling what changes. What to follow is
 * the whole list, each time it may have changed: what is on it no more is ended and withdrawn.
 */
export interface Follower<Wanted> {
  /** Resolves when each of the new ones has answered once or has failed to, or after a bounded time: never rejects. */
  follow(wanted: readonly Wanted[]): Promise<void>;
  stop(): void;
}
