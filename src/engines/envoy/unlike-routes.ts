import type { Route } from "../../model/route.ts";

/**
 * The routes between what both lists begin and end with alike, of the one before and of the one after: of all others nothing has
 * changed, as a route that stays is the same object. Lists follow one another with few changes, and have ten thousand routes.
 */
export function unlikeRoutes(before: readonly Route[], after: readonly Route[]): readonly Route[] {
  let start = 0;
  let [endBefore, endAfter] = [before.length, after.length];
  while (start < endBefore && start < endAfter && before[start] === after[start]) start++;
  while (endBefore > start && endAfter > start && before[endBefore - 1] === after[endAfter - 1]) {
    endBefore--;
    endAfter--;
  }
  return [...before.slice(start, endBefore), ...after.slice(start, endAfter)];
}
