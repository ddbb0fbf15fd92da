import fc from "../support/fast-check.ts";

/** Where bytes are cut, as parts of their length, and a stretch of single bytes. */
export const cuts = fc.record({
  at: fc.array(fc.nat(1000), { maxLength: 8 }),
  singlesFrom: fc.nat(1000),
  singles: fc.constantFrom(0, 0, 5, 300),
});

export function cut(text: string, { at, singlesFrom, singles }: Cuts): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  const first = Math.floor((bytes.length * singlesFrom) / 1000);
  const ends = [
    ...at.map((part) => Math.floor((bytes.length * part) / 1000)),
    ...Array.from({ length: singles }, (_, index) => first + index),
    bytes.length,
  ]
    .filter((end) => end > 0 && end <= bytes.length)
    .sort((a, b) => a - b);
  let from = 0;
  return ends.flatMap((end) => {
    const piece = bytes.subarray(from, end);
    from = end;
    return piece.length === 0 ? [] : [piece];
  });
}

export type Cuts = typeof cuts extends fc.Arbitrary<infer Value> ? Value : never;

/** A change anywhere in a text. */
export interface Mutation {
  /** A part of its length. */
  readonly at: number;
  readonly drops: number;
  readonly puts: string;
}

export function mutations(scraps: readonly string[]): fc.Arbitrary<Mutation> {
  return fc.record({
    at: fc.nat(1000),
    drops: fc.nat(3),
    puts: fc.oneof(fc.constant(""), fc.constantFrom(...scraps)),
  });
}

export function mutate(text: string, changes: readonly Mutation[]): string {
  return changes.reduce((before, { at, drops, puts }) => {
    const from = Math.floor((before.length * at) / 1000);
    return before.slice(0, from) + puts + before.slice(from + drops);
  }, text);
}
