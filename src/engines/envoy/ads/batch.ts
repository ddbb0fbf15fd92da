import { secretParts } from "../secrets.ts";
import type { EncodedResource } from "./encoded.ts";
import type { Held } from "./holdings.ts";
import { varied } from "./secret-variant.ts";

/** What one response carries, and what its ACK or NACK is about. */
export interface Batch {
  readonly resources: readonly EncodedResource[];
  readonly removed: readonly string[];
  /** How often it was refused together with others; absent: not yet. */
  readonly attempt?: number;
  /** It takes back what was refused. */
  readonly isUndoing?: true;
}

/**
 * A refused batch in two, to find out which of its resources is refused. One resource alone is not divided any more.
 * Removals go with the first half; they are never what is refused, so they come alone before they are doubted.
 */
export function halves({ resources, removed, attempt: before = 0 }: Batch): Batch[] {
  const attempt = before + 1;
  if (resources.length === 1) {
    return [
      { resources: [], removed },
      { resources, removed: [], attempt },
    ];
  }
  const middle = Math.ceil(resources.length / 2);
  return [
    { resources: resources.slice(0, middle), removed, attempt },
    { resources: resources.slice(middle), removed: [], attempt },
  ];
}

/**
 * What takes a client back to the secrets that it had. Envoy keeps the ones that it refuses, and then refuses whatever is made with them: their CA,
 * a cluster, a listener of many hosts. One at a time, keys before CAs, since one that is refused keeps those behind it from being read.
 */
export function undoing({ resources }: Batch, held: (name: string) => Held | undefined): Batch[] {
  const back = resources.flatMap(({ name, version }) => {
    const before = held(name);
    // Of what a client had before this stream only the version is known.
    return before !== undefined && "bytes" in before && before.version !== version ? [before] : [];
  });
  return [...back.filter(({ name }) => isKey(name)), ...back.filter(({ name }) => !isKey(name))].map(
    (resource) => ({ resources: [resource], removed: [], isUndoing: true }),
  );
}

/** Whether a secret of that name is a certificate with its key. */
export function isKey(secret: string): boolean {
  const parts = secretParts(secret);
  return parts !== null && "credential" in parts;
}

/** Its resources as they go over the wire. */
export function sentOf({ resources, attempt = 0 }: Batch): readonly EncodedResource[] {
  return attempt === 0 ? resources : resources.map((resource) => varied(resource, attempt));
}
