import { html, Markup } from "./html.ts";
import { panel, table } from "./panel.ts";
import type { ReportedEngine, ReportedProxy } from "./report.ts";

/** Each Envoy: whether it is there, what it has by type, and what it refused, in its words. */
export function proxies(engines: readonly ReportedEngine[]): Markup {
  const served = engines.filter(({ proxies }) => proxies !== undefined);
  if (served.length === 0) return new Markup("");
  const all = served.flatMap((engine) => (engine.proxies ?? []).map((proxy) => ({ engine, proxy })));
  return panel(
    `Envoys (${all.length})`,
    "",
    all.length === 0
      ? html`<p class="empty">None is connected.</p>`
      : html`${table(
          ["Envoy", "Revision", "Acknowledged", "State"],
          all.map(({ engine, proxy }) => row(engine, proxy)),
        )}${refusals(all.map(({ proxy }) => proxy))}`,
  );
}

function row(engine: ReportedEngine, proxy: ReportedProxy): Markup {
  const { node, identity, software, revision, resources } = proxy;
  return html`<tr><td class="mono">${node}<br><span class="soft">${identity} · ${software}${engine.group === undefined ? "" : ` · group ${engine.group}`}</span></td>
<td>${revision ?? "none yet"}<br><span class="soft">of ${engine.revision ?? "none"}</span></td>
<td>${resources.map(({ kind, acknowledged, pending }) => html`${acknowledged} ${kind}${pending === 0 ? "" : html` <span class="warn">+${pending} under way</span>`}<br>`)}</td>
<td>${state(proxy)}</td></tr>`;
}

function state({ connectedSince, upToDate, refused, process }: ReportedProxy): Markup {
  const link =
    connectedSince === null
      ? html`<span class="tag bad">not connected</span>`
      : refused.length > 0
        ? html`<span class="tag bad">refuses ${refused.length}</span>`
        : upToDate
          ? html`<span class="tag good">up to date</span>`
          : html`<span class="tag warning">catching up</span>`;
  const since =
    connectedSince === null
      ? ""
      : html`<br><span class="soft">since ${connectedSince.slice(0, 19).replace("T", " ")} UTC</span>`;
  if (process === undefined) return html`${link}${since}`;
  const { phase, pid, starts, lastEnd } = process;
  return html`${link}${since}<br>process ${pid ?? "-"}, ${phase}${starts > 1 ? html`, <span class="bad">started ${starts} times</span>` : ""}${lastEnd === null ? "" : html`<br><span class="soft">ended last by ${lastEnd}</span>`}`;
}

function refusals(all: readonly ReportedProxy[]): Markup | string {
  const rows = all.flatMap(({ node, refused }) => refused.map((refusal) => ({ node, ...refusal })));
  if (rows.length === 0) return "";
  return table(
    ["Refused", "By", "In Envoy's words", "Made of", "It has instead"],
    rows.map(
      ({ node, kind, name, detail, at, from, instead }) =>
        html`<tr><td>${kind}<br><span class="mono">${name}</span></td><td class="mono">${node}<br><span class="soft">${at.slice(0, 19).replace("T", " ")}</span></td>
<td>${detail}</td><td class="mono">${from.join(", ")}</td><td>${instead}</td></tr>`,
    ),
  );
}
