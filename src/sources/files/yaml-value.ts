import { isAlias, isMap, isScalar, isSeq, type Node, type YAMLMap } from "yaml";
import type { DocumentProblem } from "./yaml-document.ts";

export interface DocumentValue {
  readonly value: unknown;
  /** Offsets of keys, by path: `kind`, `metadata.name`, `spec.tls`; of a block literal's `|`, with a `|` behind the path. */
  readonly fields: ReadonlyMap<string, number>;
}

/**
 * Plain data from the nodes of a document: each key once in its map, aliases only of what stands complete before them, and
 * no more of them than a person writes. What two readers could understand in two ways is a problem, never a choice.
 */
export function readValue(root: Node): DocumentValue | DocumentProblem {
  try {
    return new Reading().document(root);
  } catch (error) {
    if (error instanceof Refusal) return error.problem;
    throw error;
  }
}

/** The items of a list that could be read as a whole, each as a document; they may name anchors of what stands before them. */
export function readItems(list: YAMLMap, items: readonly Node[]): DocumentValue[] {
  return new Reading().items(list, items);
}

/** How deep positions are kept: `spec.config.service_port`. */
const DEPTH = 3;
const MAX_ALIASES = 1000;
/** How many nodes a document may have once its aliases are written out: `JSON` writes them out. */
const MAX_EXPANDED = 500_000;

class Reading {
  #fields = new Map<string, number>();
  /** Null while the node that has the anchor is being read: an alias inside would make a circle. */
  readonly #anchors = new Map<string, Read | null>();
  #aliases = 0;
  /** Nodes that aliases have added. */
  #added = 0;

  document(root: Node): DocumentValue {
    return { value: this.#read(root, "", 1).value, fields: this.#fields };
  }

  items(list: YAMLMap, items: readonly Node[]): DocumentValue[] {
    for (const { key, value } of list.items) {
      if (isScalar(key) && key.value === "items") break;
      this.#read(value as Node | null, null, 0);
    }
    return items.map((item) => {
      this.#fields = new Map();
      return { value: this.#read(item, "", 1).value, fields: this.#fields };
    });
  }

  /** `path` ends in a dot, or is empty; null where nobody needs positions. */
  #read(node: Node | null, path: string | null, depth: number): Read {
    if (node === null) return { value: null, size: 1 };
    if (isAlias(node)) return this.#follow(node.source, offsetOf(node));
    const { anchor } = node as { anchor?: string };
    if (anchor !== undefined) this.#anchors.set(anchor, null);
    const read = isMap(node)
      ? this.#map(node.items, path, depth)
      : isSeq(node)
        ? this.#list(node.items)
        : { value: isScalar(node) ? node.value : null, size: 1 };
    if (anchor !== undefined) this.#anchors.set(anchor, read);
    return read;
  }

  #map(items: readonly { key: unknown; value: unknown }[], path: string | null, depth: number): Read {
    const value: Record<string, unknown> = {};
    const places = new Map<string, number>();
    let size = 1;
    for (const pair of items) {
      const key = pair.key as Node;
      const { value: written } = this.#read(key, null, 0);
      const name = String(written ?? "");
      const offset = offsetOf(key);
      // Left unmerged, the fields that it would bring are missing; `tls` may be among them.
      if (name === "<<" && isScalar(key) && key.type === "PLAIN")
        refuse("a merge key (`<<`), which YAML 1.2 does not have", offset);
      const first = places.get(name);
      if (first !== undefined) refuse("a key is written twice in one map", offset, first);
      places.set(name, offset);
      const field = path === null ? null : `${path}${name}`;
      if (field !== null) this.#fields.set(field, offset);
      const literal = pair.value as Node | null;
      if (field !== null && isScalar(literal) && literal.type === "BLOCK_LITERAL")
        this.#fields.set(`${field}|`, offsetOf(literal));
      // Keys below `data` name secrets; nobody needs their places.
      const deeper = field === null || depth >= DEPTH || field === "data" || field === "stringData";
      const read = this.#read(pair.value as Node | null, deeper ? null : `${field}.`, depth + 1);
      size += read.size;
      // An own property even where the name is `__proto__`.
      Object.defineProperty(value, name, {
        value: read.value,
        writable: true,
        enumerable: true,
        configurable: true,
      });
    }
    return { value, size };
  }

  #list(items: readonly unknown[]): Read {
    let size = 1;
    const value = items.map((item) => {
      const read = this.#read(item as Node | null, null, 0);
      size += read.size;
      return read.value;
    });
    return { value, size };
  }

  #follow(name: string, offset: number): Read {
    const read = this.#anchors.get(name);
    if (read === undefined) refuse("an alias names no anchor that stands before it", offset);
    if (read === null) refuse("an alias stands inside what it names", offset);
    this.#added += read.size;
    if (++this.#aliases > MAX_ALIASES || this.#added > MAX_EXPANDED)
      refuse("aliases expand without bound", offset);
    return read;
  }
}

interface Read {
  readonly value: unknown;
  /** Nodes, aliases written out. */
  readonly size: number;
}

class Refusal extends Error {
  readonly problem: DocumentProblem;

  constructor(problem: DocumentProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

function refuse(message: string, offset: number, other?: number): never {
  const code = message.startsWith("an alias") ? "yaml-syntax" : "yaml-ambiguous";
  throw new Refusal({ code, message, offset, ...(other === undefined ? {} : { other }) });
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}
