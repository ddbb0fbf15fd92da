/** A list that is sorted again and again, with few changes in between. */
export class KnownOrder<Value> {
  #keys: readonly string[] = [];

  /** The values sorted. They begin in the order that these keys had last time: a sort of what is in order already compares each once. */
  sorted(values: ReadonlyMap<string, Value>, compare: (a: Value, b: Value) => number): Value[] {
    const before = this.#keys.filter((key) => values.has(key));
    const known = before.length === values.size ? null : new Set(before);
    const keys =
      known === null ? before : [...before, ...[...values.keys()].filter((key) => !known.has(key))];
    const entries = keys.map((key): [string, Value] => [key, values.get(key) as Value]);
    entries.sort(([, a], [, b]) => compare(a, b));
    this.#keys = entries.map(([key]) => key);
    return entries.map(([, value]) => value);
  }
}
