import { pathText } from "../../engines/node/near-misses.ts";
import { addressText } from "../../model/address.ts";
import type { FieldMatch, RouteMatch } from "../../model/route.ts";
import type {
  CertificateReport,
  DestinationReport,
  UpstreamReport,
  UpstreamTlsReport,
} from "./destination.ts";
import type { ExplainReport, HandshakeReport, NearMiss, Verdict } from "./report.ts";

/** The report as a person reads it: the verdict first, then the way of the request, a line each. */
export function explainText(report: ExplainReport, now: number, colour: boolean): string {
  const paint = (style: number, text: string): string => (colour ? `\x1b[${style}m${text}\x1b[0m` : text);
  const { request, verdict, listener, handshake, host, route, destinations, nearMisses } = report;
  const fails = verdict.kind === "refuse" || verdict.kind === "handshake-refused";
  const lines = [
    `${paint(1, `${request.method} ${request.url}`)}`,
    `  ${paint(fails ? 31 : 32, verdictText(verdict, destinations))}`,
    "",
    row("listener", `${listener.name}, port ${listener.port}, ${listener.transport}`),
  ];
  if (handshake !== null) lines.push(...handshakeLines(handshake, now));
  if (host !== null) {
    const cleartext = listener.transport === "cleartext" ? `; cleartext: ${host.cleartext}` : "";
    lines.push(row("host", `${host.domain} by ${named(host.origin, host.place)}${cleartext}`));
  }
  if (route !== null) {
    lines.push(
      row(
        "route",
        `${named(route.name, route.place)}, ${matchText(route.match)}, no. ${route.position} in order`,
      ),
    );
    for (const destination of destinations) lines.push(...destinationLines(destination, now));
    if (route.mirror !== null)
      lines.push(
        row("copies", `${route.mirror.percent} % to ${named(route.mirror.name, route.mirror.place)}`),
      );
  }
  if (nearMisses.length > 0) lines.push("", paint(1, "nearly matched"), ...nearMisses.flatMap(nearMissLines));
  if (report.diagnostics.length > 0) {
    lines.push("", paint(1, "findings about these resources"));
    for (const { severity, code, source, message } of report.diagnostics) {
      const place = source === undefined ? "" : ` ${source.file}:${source.line}:`;
      lines.push(`  ${severity} ${code}:${place} ${message}`);
    }
  }
  return lines.join("\n");
}

const LABEL_WIDTH = 11;

function row(label: string, text: string): string {
  return `${label.padEnd(LABEL_WIDTH)}${text}`;
}

function named(name: string, place: string | null): string {
  return place === null ? name : `${name} (${place})`;
}

function verdictText(verdict: Verdict, destinations: readonly DestinationReport[]): string {
  const { kind, status, reason, cause, location } = verdict;
  const why = [reason, cause].filter((part) => part !== undefined).join(": ");
  switch (kind) {
    case "handshake-refused":
      return `the TLS handshake is refused (${why})`;
    case "refuse": {
      const some = destinations.length > 1 && destinations.some(({ action }) => action === "forward");
      return `is answered ${status} by the gateway${some ? ", in part" : ""} (${why})`;
    }
    case "redirect":
      return `is redirected, ${status}, to ${location}`;
    case "answer":
      return `is answered ${status} by the gateway itself (${why})`;
    case "forward":
      return `is forwarded to ${[...new Set(destinations.map(destinationText))].join(", ")}`;
  }
}

function destinationText({ upstream, location }: DestinationReport): string {
  return upstream === undefined ? (location ?? "nobody") : upstreamText(upstream);
}

function upstreamText({ host, port, resolver, tls }: UpstreamReport): string {
  const how = tls === null ? "in cleartext" : tls.presents === null ? "by TLS" : "by mutual TLS";
  if (resolver?.kind === "consul") {
    const { service, address, datacenter } = resolver;
    return `the instances of ${service} that Consul at ${address} has in ${datacenter}, ${how}`;
  }
  return `${addressText(host, port)} ${how}`;
}

function handshakeLines(handshake: HandshakeReport, now: number): string[] {
  const { serverName, served, host, certificate, clients, client, parameters } = handshake;
  const name = serverName ?? "no server name";
  const by = host === null ? "" : ` by ${host.domain} of ${named(host.origin, host.place)}`;
  if (!served) return [row("handshake", `${name}: refused${by}, ${handshake.failure}`)];
  const lines = [row("handshake", `${name}: served${by}`)];
  const shown =
    certificate === null ? "of an issuer, which is not asked here" : certificateText(certificate, now);
  lines.push(row("", `certificate ${shown}`));
  if (handshake.coversName === false)
    lines.push(row("", `  which is not for ${serverName}: clients that verify it will refuse it`));
  if (parameters !== null) lines.push(row("", `TLS ${parameters.minVersion} to ${parameters.maxVersion}`));
  const of = clients.anchors.length === 0 ? "" : ` of ${clients.anchors.join("; ")} (${clients.trust})`;
  lines.push(row("", `client certificate ${clients.mode}${of}${clientText(client)}`));
  return lines;
}

function clientText(client: HandshakeReport["client"]): string {
  switch (client?.kind) {
    case "accepted":
      return `: accepted, it chains to ${client.anchor}`;
    case "refused":
      return `: refused, ${client.reason}`;
    case "assumed":
      return ": taken for shown (--from-cert)";
    case "none":
      return ": none is shown";
    default:
      return "";
  }
}

function certificateText(
  { subject, credential, place, names, notAfter }: CertificateReport,
  now: number,
): string {
  const also = names.length === 0 ? "" : ` [${names.join(", ")}]`;
  return `${subject || "without subject"}${also} from ${named(credential, place)}, until ${notAfter.slice(0, 10)} (${daysUntil(notAfter, now)})`;
}

function daysUntil(moment: string, now: number): string {
  const days = Math.floor((Date.parse(moment) - now) / 86_400_000);
  return days < 0 ? "expired" : `${days} days`;
}

function matchText(match: RouteMatch): string {
  const field = (what: string) => (wanted: FieldMatch) =>
    `${what} ${wanted.name} ${wanted.kind === "present" ? "present" : `${wanted.kind === "regex" ? "~" : "="} ${wanted.value}`}`;
  return [
    pathText(match.path),
    ...(match.host === undefined ? [] : [`host = ${match.host}`]),
    ...(match.hostPattern === undefined ? [] : [`host ~ ${match.hostPattern}`]),
    ...(match.method === undefined || match.method.kind === "present"
      ? []
      : [`method ${match.method.kind === "regex" ? "~" : "="} ${match.method.value}`]),
    ...(match.headers ?? []).map(field("header")),
    ...(match.query ?? []).map(field("query")),
  ].join(", ");
}

function destinationLines(destination: DestinationReport, now: number): string[] {
  const { name, place, percent, action, reason, cause, location, request, timeouts, retry } = destination;
  const { authorization, upstream } = destination;
  const lines = [row(`  ${percent} %`, named(name, place))];
  if (action === "fail") lines.push(row("", `answers with ${reason}: ${cause}`));
  if (location !== undefined) lines.push(row("", `redirects to ${location}`));
  if (authorization != null) {
    lines.push(
      row("", `asks ${named(authorization.name, authorization.place)} at ${upstreamText(authorization)}`),
    );
    if (authorization.tls !== null) lines.push(...tlsLines(authorization.tls, now));
  }
  if (upstream !== undefined) lines.push(row("", `to ${upstreamText(upstream)}`));
  if (request !== undefined) {
    lines.push(row("", `path ${request.path}, host ${request.host}`));
    for (const line of request.removed) lines.push(row("", `  - ${line}`));
    for (const line of request.added) lines.push(row("", `  + ${line}`));
  }
  const { add = [], remove = [] } = destination.responseHeaders ?? {};
  const changes = [
    ...remove.map((header) => `- ${header}`),
    ...add.map((each) => `+ ${each.name}: ${each.value}`),
  ];
  if (changes.length > 0) lines.push(row("", `response headers ${changes.join(", ")}`));
  if (timeouts !== undefined) {
    const idle = timeouts.idleMs === null ? "" : `, idle ${milliseconds(timeouts.idleMs)}`;
    lines.push(
      row(
        "",
        `timeouts: response ${milliseconds(timeouts.responseMs)}, connect ${timeouts.connectMs} ms${idle}`,
      ),
    );
  }
  if (retry !== undefined) lines.push(row("", `retries ${retry.retries} times on ${retry.on}`));
  if (upstream?.tls != null) lines.push(...tlsLines(upstream.tls, now));
  return lines;
}

function milliseconds(value: number): string {
  return value === 0 ? "for ever" : `${value} ms`;
}

function tlsLines(tls: UpstreamTlsReport, now: number): string[] {
  const { presents, verifies, context, contextPlace, missing, issued } = tls;
  const by = context === null ? "without a TLSContext" : `by TLSContext ${named(context, contextPlace)}`;
  const trust = verifies.trust === null ? "" : named(verifies.trust, verifies.trustPlace);
  const anchors = verifies.anchors
    .map(({ subject, notAfter }) => `${subject} until ${notAfter.slice(0, 10)}`)
    .join("; ");
  const shown =
    issued !== null
      ? `what ${issued} delivers, which is not asked here`
      : presents === null
        ? "no certificate"
        : certificateText(presents, now);
  return [
    row("", `TLS ${tls.minVersion} to ${tls.maxVersion} ${by}, server name ${tls.sni ?? "not sent"}`),
    row("", `  presents ${shown}`),
    row(
      "",
      verifies.mode === "none"
        ? "  verifies nothing: no CA is given"
        : `  verifies the name ${verifies.name}, and the chain to ${anchors || (issued === null ? "nothing usable" : "the CAs")} from ${trust}`,
    ),
    ...(missing === null ? [] : [row("", `  answers 503: ${missing}`)]),
  ];
}

function nearMissLines({ route, place, mismatches }: NearMiss): string[] {
  return [
    `  ${named(route, place)}`,
    ...mismatches.map(({ on, name, wanted, got }) => {
      const what = name === undefined ? on : `${on} ${name}`;
      return `    ${what}: wanted ${wanted}, got ${got === null ? "nothing" : got === "" ? "an empty text" : got}`;
    }),
  ];
}
