import { html, type Markup } from "./html.ts";

/** A titled part of the page. */
export function panel(title: string, aside: Markup | string, body: Markup): Markup {
  return html`<section><div class="head"><h2>${title}</h2>${aside}</div>${body}</section>
`;
}

export function table(columns: readonly string[], rows: readonly Markup[]): Markup {
  return html`<div class="scroll"><table><thead><tr>${columns.map((column) => html`<th>${column}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
