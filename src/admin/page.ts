import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { addressText } from "../model/address.ts";
import { failures, handshakes } from "./failures.ts";
import { html, Markup } from "./html.ts";
import { panel, prose, table } from "./panel.ts";
import { proxies } from "./proxies.ts";
import type { Report, ReportedCredential, ReportQuery } from "./report.ts";
import { STYLE } from "./style.ts";

/** The diagnostics page: the report for a person's eyes. No script; the server renders all of it. */
export function renderPage(report: Report, query: ReportQuery, now: number): string {
  const [engine] = report.engines;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Credence diagnostics</title>
<meta name="viewport" content="width=device-width,initial-scale=1"><style>${new Markup(STYLE)}</style></head>
<body><main>
<header><h1>Credence</h1>
${report.ready ? html`<span class="tag good">ready</span>` : html`<span class="tag bad">not ready</span>`}
<span>${report.revision === null ? "no revision yet" : `revision ${report.revision}`}</span>
${report.engines.length === 1 && engine?.hash ? html`<span class="soft mono">${engine.hash.slice(0, 12)}</span>` : ""}
<span class="soft">${engine?.name} engine · <a href="?json=true">JSON</a> · <a href="/metrics">metrics</a></span>
<span>${jumps(report)}</span>
</header>
${report.notReady === null ? "" : html`<p class="note bad">Not ready: ${report.notReady}</p>`}
${report.engines.map(({ group, fault }) => (fault === null ? "" : html`<p class="note bad">${group === undefined ? "" : `Group ${group}: `}The last reload failed by a fault of Credence's own; the revision before it goes on serving: ${fault}</p>`))}
${listeners(report)}${proxies(report.engines)}${diagnostics(report.diagnostics, query)}${certificates(report.certificates, now)}${failures(report.failures, query)}${handshakes(report.handshakes)}
</main></body></html>
`;
  return page.text;
}

/** What there is to look at, which may be far down. */
function jumps({ diagnostics, certificates, failures }: Report): Markup[] {
  const parts = [
    ["diagnostics", diagnostics.length, "finding"],
    ["certificates", certificates.filter(({ usable }) => !usable).length, "unusable certificate"],
    ["failures", failures.length, "failed request"],
  ] as const;
  return parts
    .filter(([, count]) => count > 0)
    .map(
      ([id, count, what], index) =>
        html`${index === 0 ? "" : " · "}<a href="#${id}">${count} ${what}${count === 1 ? "" : "s"}</a>`,
    );
}

function listeners(report: Report): Markup {
  const rows = report.engines.flatMap(({ group, listeners }) =>
    listeners.map((listener) => ({ group, ...listener })),
  );
  return panel(
    "Listeners",
    "",
    rows.length === 0
      ? html`<p class="empty">None is open.</p>`
      : table(
          ["Name", "Address"],
          rows.map(
            ({ group, name, address, port }) =>
              html`<tr><td>${name}${group === undefined ? "" : html` <span class="soft">of ${group}</span>`}</td><td class="mono">${addressText(address, port)}</td></tr>`,
          ),
        ),
  );
}

/** Worst first; within one severity by place. */
const SEVERITIES = ["error", "warning", "info"] as const;
/** A page is for looking at; the JSON has all of them. */
const SHOWN = 200;
/** More than fill a screen are counted first. */
const COUNTED_FROM = 12;

function diagnostics(found: readonly Diagnostic[], query: ReportQuery): Markup {
  const filter = query.errorsOnly
    ? html`<a href="?">all findings</a>`
    : html`<a href="?filter=errors">errors only</a>`;
  if (found.length === 0) {
    return panel("Diagnostics", filter, html`<p class="empty">Nothing to mend.</p>`, "diagnostics");
  }
  const sorted = SEVERITIES.flatMap((rank) => found.filter(({ severity }) => severity === rank));
  return panel(
    `Diagnostics (${countText(found.length)})`,
    filter,
    html`${found.length < COUNTED_FROM ? "" : counts(sorted)}${table(
      ["Severity", "What", "Where", "What it did, and what to do"],
      sorted.slice(0, SHOWN).map(
        ({ severity, code, effect, subject, source, message, remedy }) =>
          html`<tr><td><span class="tag ${severity}">${severity}</span></td>
<td><code>${code}</code></td>
<td class="where">${subject.kind} ${subject.name}${subject.namespace === "" ? "" : html` <span class="soft">in ${subject.namespace}</span>`}
${source === undefined ? "" : html`<br><span class="mono soft">${source.file}:${source.line}:${source.column}</span>`}</td>
<td>${message}<br><span class="soft">${effect} · ${prose(remedy)}</span></td></tr>`,
      ),
    )}`,
    "diagnostics",
  );
}

function countText(count: number): string {
  return count > SHOWN ? `${SHOWN} of ${count}` : String(count);
}

/** How many of each code, in the order of the table: one mistake is often made a thousand times. */
function counts(sorted: readonly Diagnostic[]): Markup {
  const byCode = Map.groupBy(sorted, ({ severity, code }) => `${severity} ${code}`);
  return html`<p class="counts">${[...byCode.values()].map(
    (same) => html`<span class="${same[0]?.severity}">${same.length} × <code>${same[0]?.code}</code></span>`,
  )}</p>`;
}

function certificates(credentials: readonly ReportedCredential[], now: number): Markup {
  if (credentials.length === 0)
    return panel("Certificates", "", html`<p class="empty">None is known.</p>`, "certificates");
  // What does not serve, or ends soonest, comes first.
  const sorted = [...credentials].sort(
    (a, b) => Number(a.usable) - Number(b.usable) || (endOf(a) < endOf(b) ? -1 : 1),
  );
  return panel(
    `Certificates (${countText(credentials.length)})`,
    "",
    table(
      ["Name", "State", "Certificate", "Valid until"],
      sorted.slice(0, SHOWN).map(({ name, kind, generation, usable, reason, chain, lists = [] }) => {
        const [leaf] = chain;
        const names = leaf === undefined ? [] : [...leaf.dnsNames, ...leaf.ipAddresses, ...leaf.uris];
        return html`<tr><td class="mono">${name}<br><span class="soft">${what(kind, chain.length)} · generation ${generation}</span></td>
<td>${usable ? html`<span class="tag good">usable</span>` : html`<span class="tag bad">unusable</span><br>${reason}`}</td>
<td>${lists.map(({ issuer, revoked }) => html`${issuer}<br><span class="soft">${revoked} revoked</span><br>`)}${leaf === undefined ? "" : html`${leaf.subject}${names.length === 0 ? "" : html`<br><span class="mono">${names.join(", ")}</span>`}<br><span class="soft">by ${leaf.issuer} · ${leaf.keyType} · serial <span class="mono">${leaf.serial}</span></span>`}</td>
<td>${leaf === undefined ? "" : expiry(leaf.notAfter, now)}${lists.map(({ nextUpdate }) => (nextUpdate === null ? "" : expiry(nextUpdate, now)))}</td></tr>`;
      }),
    ),
    "certificates",
  );
}

/** The earliest end of what it holds; times are ISO 8601, and sort as they are. */
function endOf({ chain, lists = [], name }: ReportedCredential): string {
  const [earliest = "never"] = [
    ...chain.slice(0, 1).map(({ notAfter }) => notAfter),
    ...lists.flatMap(({ nextUpdate }) => nextUpdate ?? []),
  ].sort();
  return `${earliest} ${name}`;
}

function expiry(notAfter: string, now: number): Markup {
  const days = Math.floor((Date.parse(notAfter) - now) / DAY_MS);
  const style = days < 0 ? "bad" : days < SOON_DAYS ? "warn" : "good";
  const words =
    days < 0 ? "expired" : days === 0 ? "ends today" : `${days} ${days === 1 ? "day" : "days"} left`;
  return html`<span class="${style}">${words}</span><br><span class="soft mono">${notAfter.slice(0, 16).replace("T", " ")} UTC</span>`;
}

const DAY_MS = 24 * 3_600_000;
const SOON_DAYS = 30;

/** What a name of the store stands for. */
function what(kind: string, anchors: number): string {
  if (kind === "crl") return "revocation lists";
  if (kind === "staple") return "OCSP response";
  return kind === "trust" ? `trust, ${anchors} CA` : "key and certificate";
}
