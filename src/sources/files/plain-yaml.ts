import type { DocumentValue } from "./yaml-value.ts";

export interface PlainDocument extends DocumentValue {
  /** Of the first key. */
  readonly offset: number;
}

/**
 * Reads a document of which nothing needs a parser of all of YAML: maps one below the other, with texts and numbers on the lines of their
 * keys, and maps and lists in braces and brackets on one line. So are most that programs write, and a thousand are read in a tenth of
 * the time. Null where anything else stands: whoever reads YAML decides about that, and says what is wrong with it.
 */
export function readPlain(text: string): PlainDocument | null {
  if (text.length > MAX_CHARACTERS || !PLAIN_CHARACTERS.test(text)) return null;
  const reading = new PlainReading(text);
  try {
    return reading.document();
  } catch (error) {
    if (error === NOT_PLAIN) return null;
    throw error;
  }
}

/** Fewer than the parts that a document may have. */
const MAX_CHARACTERS = 256 * 1024;
/** No tab, and nothing that begins a comment. */
const PLAIN_CHARACTERS = /^[\n !"$-~]*$/;
/** How deep positions are kept, as of every other document. */
const DEPTH = 3;
const MAX_NESTING = 20;
const NOT_PLAIN = new Error("not plain");

/** Sticky: each is tried where the reading stands. */
const MARKER = /---\n/y;
const BLANK = /\n*/y;
const INDENT = / */y;
const KEY = /([A-Za-z_][A-Za-z0-9_./-]{0,127}):/y;
const SPACES = / */y;
/** Behind it stands what ends it, else it is something else. */
const IN_BLOCK =
  /(?:"([^"\\\n]*)"|'([^'\n]*)'|([A-Za-z/_][A-Za-z0-9/_.+=@~:-]*)|([1-9][0-9]{0,14}|0))(?=\n|$)/y;
const IN_FLOW =
  /(?:"([^"\\\n]*)"|'([^'\n]*)'|([A-Za-z/_][A-Za-z0-9/_.+=@~:-]*)|([1-9][0-9]{0,14}|0))(?= *[,\]}])/y;

type Fields = Map<string, number>;

class PlainReading {
  readonly #text: string;
  readonly #fields: Fields = new Map();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): PlainDocument {
    this.#match(MARKER);
    const indent = this.#nextLine();
    const offset = this.#at;
    const value = this.#map(indent, "", 1);
    if (this.#at < this.#text.length || value.kind === "List") throw NOT_PLAIN;
    return { value, fields: this.#fields, offset };
  }

  /** A map whose first key is next, and whose keys stand `indent` from the left. `path` as in the reading of nodes. */
  #map(indent: number, path: string | null, depth: number): Record<string, unknown> {
    if (depth > MAX_NESTING) throw NOT_PLAIN;
    const value: Record<string, unknown> = {};
    for (let next = indent; next === indent; ) {
      const below = this.#key(value, path, depth);
      const { name } = below;
      const isApart = this.#match(SPACES)[0] !== "";
      if (this.#text[this.#at] === "\n" || this.#at === this.#text.length) {
        next = this.#nextLine();
        if (next > indent) {
          value[name] = this.#map(next, below.path, depth + 1);
          next = this.#indent;
        } else value[name] = null;
      } else {
        if (!isApart) throw NOT_PLAIN;
        value[name] = this.#inline(IN_BLOCK, below.path, depth);
        next = this.#nextLine();
      }
      if (next > indent) throw NOT_PLAIN;
      this.#indent = next;
    }
    return value;
  }

  /** Of the line that is next; less than any at the end. */
  #indent = -1;

  #nextLine(): number {
    const start = this.#at;
    this.#match(BLANK);
    if (this.#at === this.#text.length) return -1;
    // What was read ends with its line.
    if (start > 0 && this.#text[this.#at - 1] !== "\n") throw NOT_PLAIN;
    return this.#match(INDENT)[0].length;
  }

  /** Reads a key with its colon, and gives it its place in the map. */
  #key(
    value: Record<string, unknown>,
    path: string | null,
    depth: number,
  ): { readonly name: string; readonly path: string | null } {
    const offset = this.#at;
    const name = this.#match(KEY)[1];
    // What is written twice, or means something else to who reads it.
    if (name === undefined || name === "__proto__" || Object.hasOwn(value, name)) throw NOT_PLAIN;
    const field = path === null ? null : path + name;
    if (field !== null) this.#fields.set(field, offset);
    const isDeep = field === null || depth >= DEPTH || field === "data" || field === "stringData";
    value[name] = null;
    return { name, path: isDeep ? null : `${field}.` };
  }

  /** What stands on the line of its key. */
  #inline(scalar: RegExp, path: string | null, depth: number): unknown {
    if (depth > MAX_NESTING) throw NOT_PLAIN;
    const first = this.#text[this.#at];
    if (first === "{") return this.#flow("}", (value) => this.#pair(value, path, depth + 1), {});
    if (first === "[") {
      const items: unknown[] = [];
      return this.#flow("]", () => items.push(this.#inline(IN_FLOW, null, depth + 1)), items);
    }
    const [, double, single, plain, number] = this.#match(scalar);
    if (plain !== undefined) return plainValue(plain);
    return number === undefined ? (double ?? single) : Number(number);
  }

  #pair(value: Record<string, unknown>, path: string | null, depth: number): void {
    const below = this.#key(value, path, depth);
    if (this.#match(SPACES)[0] === "") throw NOT_PLAIN;
    value[below.name] = this.#inline(IN_FLOW, below.path, depth);
  }

  #flow<T>(end: string, one: (into: T) => void, into: T): T {
    this.#at++;
    this.#match(SPACES);
    while (this.#text[this.#at] !== end) {
      one(into);
      this.#match(SPACES);
      if (this.#text[this.#at] === end) break;
      if (this.#text[this.#at] !== ",") throw NOT_PLAIN;
      this.#at++;
      this.#match(SPACES);
      if (this.#text[this.#at] === end) throw NOT_PLAIN;
    }
    this.#at++;
    return into;
  }

  #match(pattern: RegExp): RegExpExecArray {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) {
      if (pattern === MARKER) return NOTHING;
      throw NOT_PLAIN;
    }
    this.#at = pattern.lastIndex;
    return found;
  }
}

const NOTHING = [""] as unknown as RegExpExecArray;

/** By the core schema (YAML 1.2.2 §10.3.2), of a text that begins like none of its numbers. */
function plainValue(text: string): unknown {
  if (text === "true") return true;
  if (text === "false") return false;
  // A colon at its end makes it a key.
  if (OTHER_WORDS.test(text) || text.endsWith(":")) throw NOT_PLAIN;
  return text;
}

const OTHER_WORDS = /^(?:null|true|false)$/i;
