import type { EncodedResource } from "./encoded.ts";

/** What one response carries, and what its ACK or NACK is about. */
export interface Batch {
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
}

/**
 * A refused batch in two, to find out which of its resources is refused. One resource alone is not divided any more.
 * Removals go with the first half; they are never what is refused, so they come alone before they are doubted.
 */
export function halves({ resources, removed }: Batch): Batch[] {
  if (resources.length === 1) {
    return [
      { resources: [], removed },
      { resources, removed: [] },
    ];
  }
  const middle = Math.ceil(resources.length / 2);
  return [
    { resources: resources.slice(0, middle), removed },
    { resources: resources.slice(middle), removed: [] },
  ];
}
