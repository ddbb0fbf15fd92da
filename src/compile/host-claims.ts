import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import type { VirtualHost } from "../model/listener.ts";
import type { ServerTls } from "../model/tls.ts";
import { domainOf, inAscii } from "../resources/host-name.ts";
import { positionOf } from "../resources/resource.ts";
import { HTTP_LISTENER_PORT } from "./ports.ts";
import { serverTls } from "./server-tls.ts";
import type { CompiledContext } from "./tls-contexts.ts";

/** What cleartext requests for a name get, and on which ports; 8080 is the http listener. */
export interface CleartextPolicy {
  readonly action: VirtualHost["cleartext"];
  /** Sorted; on all others it is `reject`. */
  readonly ports: readonly number[];
}

/** Somebody says how one name is served. */
export interface HostClaim {
  readonly domain: string;
  readonly subject: Subject;
  readonly source: SourcePosition;
  readonly tls: ServerTls;
  readonly cleartext: CleartextPolicy;
  /** false: `cleartext` gives way to that of somebody who writes one, and to a stricter one. */
  readonly isWritten: boolean;
}

/** The origin of a name, e.g. `host/default/shop`. */
export function originOf({ kind, namespace, name }: Subject): string {
  return `${kind.toLowerCase()}/${namespace}/${name}`;
}

/**
 * What contexts claim that no Host stands for: their hosts. `redirectPort` is the agreed redirect_cleartext_from; `taken`
 * has what Hosts have made of a context, as `NAMESPACE/NAME DOMAIN`.
 */
export function contextClaims(
  contexts: Iterable<CompiledContext>,
  taken: ReadonlySet<string>,
  redirectsHttp: boolean,
  diagnostics: Diagnostic[],
): HostClaim[] {
  const claims: HostClaim[] = [];
  for (const context of contexts) {
    const { resource, subject } = context;
    if (!resource.terminates) continue;
    const source = positionOf(resource, "hosts");
    const domains = new Set<string>();
    for (const host of resource.spec.hosts ?? []) {
      const domain = domainOf(host);
      if (domain !== null) domains.add(domain);
      else {
        // With a port it is still plain which name is meant: nobody else may serve that in cleartext.
        const meant = domainOf(host.replace(/:\d+$/, ""));
        if (meant !== null) {
          claims.push({
            domain: meant,
            subject,
            source,
            tls: { mode: "refuse", code: "field-invalid" },
            cleartext: { action: "reject", ports: [HTTP_LISTENER_PORT] },
            isWritten: false,
          });
        }
        const message = `${JSON.stringify(host)} is neither a host name, nor \`*.name\`, nor \`*\`${inAscii(host)}`;
        diagnostics.push(diagnose("field-invalid", { subject, source, message, effect: "field-ignored" }));
      }
    }
    const redirects = redirectsHttp && resource.spec.redirect_cleartext_from !== undefined;
    for (const domain of domains) {
      if (taken.has(`${context.name} ${domain}`)) continue;
      claims.push({
        domain,
        subject,
        source,
        tls: serverTls(context),
        cleartext: { action: redirects ? "redirect" : "reject", ports: [HTTP_LISTENER_PORT] },
        isWritten: redirects,
      });
    }
  }
  return claims;
}

/** A name once it is settled who says what about it. */
export interface SettledHost {
  readonly domain: string;
  readonly origin: string;
  readonly tls: ServerTls;
  readonly cleartext: CleartextPolicy;
}

/**
 * Claims that say the same count as one; where they differ the name is refused, as no order may decide which certificate
 * and which client check it gets. What is refused is not served in cleartext either.
 */
export function settleClaims(claims: readonly HostClaim[], diagnostics: Diagnostic[]): SettledHost[] {
  const byDomain = new Map<string, HostClaim[]>();
  for (const claim of claims) byDomain.set(claim.domain, [...(byDomain.get(claim.domain) ?? []), claim]);
  return [...byDomain].map(([domain, found]) => {
    const sorted = found.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
    const [first] = sorted as [HostClaim];
    const origin = originOf(first.subject);
    const cleartext = settleCleartext(sorted);
    const isOne = cleartext !== null && sorted.every(({ tls }) => same(tls, first.tls));
    if (!isOne) reportConflict(domain, sorted, diagnostics);
    const tls: ServerTls = isOne ? first.tls : { mode: "refuse", code: "host-claimed-twice" };
    const policy = cleartext ?? REJECTED;
    const isServed = tls.mode !== "refuse" || policy.action === "redirect";
    return { domain, origin, tls, cleartext: isServed ? policy : REJECTED };
  });
}

const REJECTED: CleartextPolicy = { action: "reject", ports: [] };

/** Null where two who write a policy differ. */
function settleCleartext(claims: readonly HostClaim[]): CleartextPolicy | null {
  const written = claims.filter(({ isWritten }) => isWritten);
  const [first] = written;
  if (first !== undefined)
    return written.every(({ cleartext }) => same(cleartext, first.cleartext)) ? first.cleartext : null;
  const [strictest] = claims
    .map(({ cleartext }) => cleartext)
    .sort((a, b) => STRICTNESS.indexOf(a.action) - STRICTNESS.indexOf(b.action));
  return strictest ?? null;
}

const STRICTNESS = ["reject", "redirect", "route"];

function reportConflict(domain: string, claims: readonly HostClaim[], diagnostics: Diagnostic[]): void {
  const names = new Set(claims.map(({ subject }) => `${subject.kind} ${subject.namespace}/${subject.name}`));
  const said = new Set<string>();
  for (const { subject, source } of claims) {
    const origin = originOf(subject);
    if (said.has(origin)) continue;
    said.add(origin);
    const message =
      names.size === 1
        ? `host ${domain} is claimed by it twice, in two ways`
        : `host ${domain} is claimed in different ways by ${[...names].join(" and ")}`;
    diagnostics.push(diagnose("host-claimed-twice", { subject, source, message }));
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function sortKey({ subject, tls, cleartext }: HostClaim): string {
  return `${originOf(subject)} ${JSON.stringify([tls, cleartext])}`;
}
