import { html, type Markup } from "./html.ts";
import { panel, prose, table } from "./panel.ts";
import type { Report, ReportQuery } from "./report.ts";

/** A page is for looking at; the JSON has all of them. */
const SHOWN_FAILURES = 100;
const SHOWN_HANDSHAKES = 20;

/** The requests that failed, and the search for one by the id that its client was told. */
export function failures(records: Report["failures"], query: ReportQuery): Markup {
  const search = html`<form method="get"><input name="failure" aria-label="id of a failed request" placeholder="id from a response" value="${query.failure ?? ""}"><button>Look up</button></form>`;
  if (records.length === 0) {
    const text =
      query.failure === null
        ? "No request has failed."
        : "No failure with this id is kept: the last 1000 are, since the start of this process.";
    return panel("Failed requests", search, html`<p class="empty">${text}</p>`, "failures");
  }
  const shown = records.slice(0, SHOWN_FAILURES);
  return panel(
    query.failure === null ? `Failed requests (${shown.length} of ${records.length})` : "Failed request",
    query.failure === null ? search : html`${search}<a href="?">all</a>`,
    table(
      ["Time", "Reason and cause", "Route", "Upstream", "Id"],
      shown.map(
        ({ id, time, route, reason, cause, upstream, handshake, is, remedy }) =>
          html`<tr>${moment(time)}<td><code>${reason}</code><br>${cause}${handshake === undefined ? "" : html`<br><code>${handshake}</code> ${is}<br><span class="soft">${prose(remedy ?? "")}</span>`}</td>
<td class="mono">${route ?? "-"}</td><td class="mono">${upstream ?? "-"}</td><td><a class="mono" href="?failure=${encodeURIComponent(id)}">${id}</a></td></tr>`,
      ),
    ),
    "failures",
  );
}

/** The last handshakes of clients that came to nothing. */
export function handshakes(records: Report["handshakes"]): Markup {
  if (records.length === 0)
    return panel("Handshakes that failed", "", html`<p class="empty">No client's handshake has failed.</p>`);
  const shown = records.slice(0, SHOWN_HANDSHAKES);
  return panel(
    `Handshakes that failed (${shown.length} of the last ${records.length})`,
    "",
    table(
      ["Time", "Reason", "Listener", "Server name", "Client"],
      shown.map(
        ({ time, reason, cause, listener, serverName, client, is, remedy }) =>
          html`<tr>${moment(time)}<td><code>${reason}</code> ${is}${cause === null ? "" : html`<br>${cause}`}<br><span class="soft">${prose(remedy ?? "")}</span></td>
<td>${listener}</td><td class="mono">${serverName ?? "-"}</td><td class="mono">${client}</td></tr>`,
      ),
    ),
  );
}

function moment(time: string): Markup {
  return html`<td class="mono moment">${time.slice(0, 10)}<br>${time.slice(11, 19)}</td>`;
}
