/**
 * What is in one list and not in the other, as objects, each in its list's order. Lists follow one another with few changes, so what
 * they begin and end with alike is left out first. No list has an object twice.
 */
export function difference<T extends object>(before: readonly T[], after: readonly T[]): Difference<T> {
  let start = 0;
  let [endBefore, endAfter] = [before.length, after.length];
  while (start < endBefore && start < endAfter && before[start] === after[start]) start++;
  while (endBefore > start && endAfter > start && before[endBefore - 1] === after[endAfter - 1]) {
    endBefore--;
    endAfter--;
  }
  const [then, now] = [before.slice(start, endBefore), after.slice(start, endAfter)];
  const [were, are] = [new Set(then), new Set(now)];
  const stayed = now.filter((each) => were.has(each));
  return {
    gone: then.filter((each) => !are.has(each)),
    come: now.filter((each) => !were.has(each)),
    isInOrder: then.filter((each) => are.has(each)).every((each, at) => each === stayed[at]),
  };
}

export interface Difference<T> {
  readonly gone: readonly T[];
  readonly come: readonly T[];
  /** What is in both stands in the same order in both. */
  readonly isInOrder: boolean;
}
