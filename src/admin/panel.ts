import { html, type Markup } from "./html.ts";

/** A titled part of the page; `id` where it is linked to. */
export function panel(title: string, aside: Markup | string, body: Markup, id = ""): Markup {
  return html`<section${id === "" ? "" : html` id="${id}"`}><div class="head"><h2>${title}</h2>${aside}</div>${body}</section>
`;
}

/** Rows made beforehand, below the names of their columns. */
export function table(columns: readonly string[], rows: readonly Markup[]): Markup {
  return html`<div class="scroll"><table><thead><tr>${columns.map((column) => html`<th>${column}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

/** What stands between backticks is code. */
export function prose(text: string): Markup[] {
  return text.split("`").map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : html`${part}`));
}
