import { FRAMING_FIELDS } from "../../../model/framing.ts";
import type { HeaderChanges } from "../../../model/route.ts";

/** Changes made ready: what goes, and the lines that come. */
export class HeaderEditor {
  readonly #remove: ReadonlySet<string>;
  readonly #lines: string;
  /** The lines hold operators (`%PROTOCOL%`), to be filled in for each request. */
  readonly hasOperators: boolean;

  constructor({ remove = [], add = [] }: HeaderChanges) {
    const changeable = add.filter(({ name }) => !FRAMING_FIELDS.has(name.toLowerCase()));
    this.#remove = new Set([
      ...remove.filter((name) => !FRAMING_FIELDS.has(name)),
      ...changeable.filter(({ append }) => !append).map(({ name }) => name.toLowerCase()),
    ]);
    this.#lines = changeable.map(({ name, value }) => `${name}: ${value}\r\n`).join("");
    this.hasOperators = this.#lines.includes("%");
  }

  /**
   * `head` is a whole message head, its blank line included, of lines that were parsed strictly; `fill` replaces the
   * operators in the lines that are added.
   */
  edit(head: string, fill?: (lines: string) => string): string {
    const kept = this.#remove.size === 0 ? head.slice(0, -2) : this.#withoutRemoved(head);
    return `${kept}${fill === undefined ? this.#lines : fill(this.#lines)}\r\n`;
  }

  #withoutRemoved(head: string): string {
    let out = "";
    let from = 0;
    for (let at = head.indexOf("\r\n") + 2; at < head.length - 2; ) {
      const end = head.indexOf("\r\n", at) + 2;
      const name = head.slice(at, head.indexOf(":", at)).toLowerCase();
      if (this.#remove.has(name)) {
        out += head.slice(from, at);
        from = end;
      }
      at = end;
    }
    return out + head.slice(from, -2);
  }
}
