import type { Follower } from "../credentials/follower.ts";

/** A follower that is loaded when something is wanted of it, and takes nothing away from what serves. */
export interface LazyFollower<Wanted> {
  /** What serves is followed besides, until this serves. */
  follow(wanted: readonly Wanted[]): Promise<void>;
  /** What was wanted last serves: what only earlier lists named is ended. */
  settle(): void;
  stop(): void;
}

/** `load` imports what it takes, gRPC for one. */
export function lazyFollower<Wanted extends { readonly name: string }>(
  load: () => Promise<Follower<Wanted>>,
): LazyFollower<Wanted> {
  let follower: Promise<Follower<Wanted>> | undefined;
  let stopped = false;
  let wanted: readonly Wanted[] = [];
  let serving: readonly Wanted[] = [];
  return {
    async follow(all) {
      wanted = all;
      if (wanted.length > 0) follower ??= load();
      const loaded = await follower;
      const names = new Set(wanted.map(({ name }) => name));
      if (!stopped) await loaded?.follow([...wanted, ...serving.filter(({ name }) => !names.has(name))]);
    },
    settle() {
      serving = wanted;
      void follower?.then((loaded) => (stopped ? undefined : loaded.follow(serving)));
    },
    stop() {
      stopped = true;
      void follower?.then((loaded) => loaded.stop());
    },
  };
}
