import type { Follower } from "../credentials/follower.ts";

/** A follower that is loaded when something is wanted of it, and takes nothing away from what serves. */
export interface LazyFollower<Wanted> {
  /** What serves is followed besides, until this serves. Rejects where it cannot be loaded; the next call tries again. */
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
  const loading = (): Promise<Follower<Wanted>> => {
    const begun = load();
    // What could not be loaded this time, for want of file descriptors perhaps, is loaded when it is wanted next.
    begun.catch(() => {
      follower = undefined;
    });
    return begun;
  };
  let stopped = false;
  let wanted: readonly Wanted[] = [];
  let serving: readonly Wanted[] = [];
  return {
    async follow(all) {
      wanted = all;
      if (wanted.length > 0) follower ??= loading();
      const loaded = await follower;
      const names = new Set(wanted.map(({ name }) => name));
      if (!stopped) await loaded?.follow([...wanted, ...serving.filter(({ name }) => !names.has(name))]);
    },
    settle() {
      serving = wanted;
      void follower?.then((loaded) => (stopped ? undefined : loaded.follow(serving)), told);
    },
    stop() {
      stopped = true;
      void follower?.then((loaded) => loaded.stop(), told);
    },
  };
}

/** That it could not be loaded: by `follow`. */
const told = (): void => {};
