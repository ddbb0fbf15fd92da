import type { DiagnosticsJson } from "./diagnostics-json.ts";

/** The diagnostics as a page: no script, nothing fetched, readable at night. Everything that comes from outside is escaped. */
export function diagnosticsPage(found: DiagnosticsJson): string {
  const errors = found.diagnostics.filter(({ severity }) => severity === "error").length;
  const warnings = found.diagnostics.filter(({ severity }) => severity === "warning").length;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Credence diagnostics</title>
<style>${STYLE}</style></head><body>
<header><h1>Credence</h1>
<p><b class="${found.ready ? "good" : "bad"}">${found.ready ? "ready" : "not ready"}</b>
revision ${found.revision === null ? "none" : `${found.revision.number} <code>${escapeHtml(found.revision.hash.slice(0, 12))}</code>`}
· <b class="${errors > 0 ? "bad" : "good"}">${errors} errors</b> · <b class="${warnings > 0 ? "warn" : "good"}">${warnings} warnings</b>
· <a href="?json=true">JSON</a> · <a href="/metrics">metrics</a></p>
<p>${found.engines.map(({ name, listeners }) => `${escapeHtml(name)}: ${listeners.map((listener) => `<code>${escapeHtml(listener)}</code>`).join(" ")}`).join("<br>")}</p></header>
<h2>Findings</h2>
${table(
  ["", "where", "what", "what to do"],
  found.diagnostics.map(({ severity, code, subject, source, message, effect, remedy }) => [
    `<b class="${severity === "error" ? "bad" : severity === "warning" ? "warn" : ""}">${severity}</b>`,
    `<code>${escapeHtml(source === undefined ? "" : `${source.file}:${source.line}:${source.column}`)}</code><br>${escapeHtml(subject.kind)} ${escapeHtml(subject.name)}`,
    `<code>${escapeHtml(code)}</code> (${escapeHtml(effect)})<br>${escapeHtml(message)}`,
    escapeHtml(remedy),
  ]),
  "Nothing to report.",
)}
<h2>Certificates</h2>
${table(
  ["name", "generation", "subject and names", "issuer", "expires", "SHA-256"],
  found.certificates.map(({ name, kind, generation, usable, reason, chain }) => [
    `<code>${escapeHtml(name)}</code><br>${kind === "trust" ? "trust bundle" : "certificate"} ${usable ? '<b class="good">usable</b>' : `<b class="bad">unusable</b><br>${escapeHtml(reason ?? "")}`}`,
    String(generation),
    chain
      .map(({ subject, sans }) => `${escapeHtml(subject)}<br><small>${escapeHtml(sans.join(" "))}</small>`)
      .join("<br>"),
    chain.map(({ issuer }) => escapeHtml(issuer)).join("<br>"),
    chain
      .map(({ notAfter }) => `<time>${escapeHtml(notAfter.slice(0, 16).replace("T", " "))}</time>`)
      .join("<br>"),
    chain.map(({ sha256 }) => `<code>${escapeHtml(sha256.slice(0, 16))}…</code>`).join("<br>"),
  ]),
  "No certificate is known.",
)}
<h2>Recent failures</h2>
${table(
  ["time", "id", "route", "reason", "cause", "upstream"],
  found.failures
    .slice(0, 100)
    .map(({ time, id, route, reason, cause, upstream }) => [
      `<time>${escapeHtml(time)}</time>`,
      `<a href="?failure=${encodeURIComponent(id)}"><code>${escapeHtml(id)}</code></a>`,
      escapeHtml(route ?? "–"),
      `<b class="bad">${escapeHtml(reason)}</b>`,
      escapeHtml(cause),
      escapeHtml(upstream ?? "–"),
    ]),
  "No request has failed.",
)}
</body></html>
`;
}

/** Cells are HTML already. */
function table(head: readonly string[], rows: readonly (readonly string[])[], empty: string): string {
  if (rows.length === 0) return `<p class="empty">${empty}</p>`;
  const cells = (tag: string, values: readonly string[]): string =>
    values.map((value) => `<${tag}>${value}</${tag}>`).join("");
  return `<div><table><thead><tr>${cells("th", head)}</tr></thead><tbody>${rows.map((row) => `<tr>${cells("td", row)}</tr>`).join("")}</tbody></table></div>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const STYLE = `
:root{color-scheme:light dark;--good:#1a7f37;--warn:#9a6700;--bad:#cf222e;--line:#8884}
@media (prefers-color-scheme:dark){:root{--good:#3fb950;--warn:#d29922;--bad:#f85149}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2rem auto;padding:0 1rem}
h1{margin:0}h2{margin-top:2rem}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
div{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.45rem .7rem;border-bottom:1px solid var(--line)}
th{font-weight:600;white-space:nowrap}time{white-space:nowrap}.empty{opacity:.7}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}`;
