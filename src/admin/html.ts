/** Markup that is already escaped. Only `html` makes it, so that no text reaches a page as it is. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = string | number | null | undefined | Markup | readonly Part[];

/** Template whose values are escaped, except Markup; lists are joined. */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Markup(
    strings.reduce(
      (text, string, index) => `${text}${index === 0 ? "" : write(values[index - 1])}${string}`,
      "",
    ),
  );
}

function write(part: Part): string {
  if (part === null || part === undefined) return "";
  if (part instanceof Markup) return part.text;
  if (Array.isArray(part)) return part.map(write).join("");
  return String(part).replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}
