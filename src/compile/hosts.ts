import { diagnose, type KnownCode } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { EngineName } from "../model/capabilities.ts";
import type { ServerTls } from "../model/tls.ts";
import { type HostResource, hostContext, reliesOnAcme } from "../resources/host.ts";
import { positionOf } from "../resources/resource.ts";
import { secretCredentialName } from "../resources/secret.ts";
import { findContext } from "./context-lookup.ts";
import type { CleartextPolicy, HostClaim } from "./host-claims.ts";
import { HTTP_LISTENER_PORT } from "./ports.ts";
import { serverTls } from "./server-tls.ts";
import type { CredentialStatuses } from "./statuses.ts";
import { type CompiledContext, compileContext } from "./tls-contexts.ts";

export interface HostsInput {
  readonly hosts: readonly HostResource[];
  /** Those that somebody wrote, and those of old Modules. */
  readonly contexts: ReadonlyMap<string, CompiledContext>;
  readonly statuses: CredentialStatuses;
  readonly namespacingDefault: boolean;
  readonly engine: EngineName;
}

export interface CompiledHosts {
  readonly claims: readonly HostClaim[];
  /** `contexts` with those that Hosts imply, under `<host>-context`, unless somebody wrote one of that name. */
  readonly contexts: ReadonlyMap<string, CompiledContext>;
  /** What Hosts have made of a context, as `NAMESPACE/NAME DOMAIN`: the context itself claims it no more. */
  readonly taken: ReadonlySet<string>;
}

/** Hosts, and what Ingresses imply, to claims on names (reference §2.6, design §4.1 and §5). */
export function compileHosts(input: HostsInput, found: Diagnostic[]): CompiledHosts {
  const diagnostics: Diagnostic[] = [];
  const contexts = new Map(input.contexts);
  const taken = new Set<string>();
  const claims: HostClaim[] = [];
  for (const host of input.hosts) {
    const { context, tls } = servedWith(host, input, diagnostics);
    if (context?.resource.writtenIn !== undefined && !contexts.has(context.name))
      contexts.set(context.name, context);
    const { domain } = host;
    if (domain === null) continue;
    // Somebody's own TLSContext may have the name of an implied one: what it asks for its hosts is not given up for that.
    if (context !== null && contexts.get(context.name) === context) taken.add(`${context.name} ${domain}`);
    claims.push({
      domain,
      subject: host.subject,
      source: host.subject.kind === "Host" ? positionOf(host, "hostname") : host.raw.source,
      tls,
      cleartext: cleartextPolicy(host, tls, context),
      isWritten: host.subject.kind === "Host",
    });
  }
  // An Ingress names one Secret for many hosts; what is wrong with it is said once.
  found.push(...new Map(diagnostics.map((each) => [JSON.stringify(each), each])).values());
  return { claims, contexts, taken };
}

interface ServedWith {
  readonly context: CompiledContext | null;
  readonly tls: ServerTls;
}

function servedWith(host: HostResource, input: HostsInput, diagnostics: Diagnostic[]): ServedWith {
  const { spec } = host;
  const secret = spec.tlsSecret?.name === "" ? undefined : spec.tlsSecret?.name;
  const named = spec.tlsContext?.name === "" ? undefined : spec.tlsContext?.name;
  const refuse = (code: KnownCode, field: string, message: string): ServedWith => {
    report(host, code, field, message, diagnostics);
    return { context: null, tls: { mode: "refuse", code } };
  };
  if (host.closedBy !== null) return { context: null, tls: { mode: "refuse", code: host.closedBy } };
  if (host.tls !== null && named !== undefined)
    return refuse(
      "tls-context-invalid",
      "tlsContext",
      "both tls and tlsContext are written: one of them must go",
    );
  if (named !== undefined) {
    const found = findContext(named, host, input.contexts, (code, message) => {
      const text = code === "tls-context-missing" ? `Specified TLSContext does not exist: ${named}` : message;
      report(host, code, "tlsContext", text, diagnostics);
    });
    if (found === null || found === "ambiguous") {
      const code = found === null ? "tls-context-missing" : "tls-context-ambiguous";
      return { context: null, tls: { mode: "refuse", code } };
    }
    return withNamedContext(host, found, secret, input, diagnostics);
  }
  const own = input.contexts.get(`${host.namespace}/${host.name}-context`);
  if (host.tls === null && secret !== undefined && own !== undefined)
    return withNamedContext(host, own, secret, input, diagnostics);
  const implied = hostContext(host);
  if (implied !== null) {
    const context = compileContext(
      implied,
      input.statuses,
      input.namespacingDefault,
      input.engine,
      diagnostics,
    );
    return { context, tls: serverTls(context) };
  }
  if (reliesOnAcme(spec)) {
    const message = "no tlsSecret is named, and certificates are not obtained by ACME";
    return refuse("secret-missing", "acmeProvider", message);
  }
  return { context: null, tls: { mode: "cleartext" } };
}

/** A TLSContext that the Host names: it must be usable, and of one mind with the Host about the certificate. */
function withNamedContext(
  host: HostResource,
  context: CompiledContext,
  secret: string | undefined,
  { statuses }: HostsInput,
  diagnostics: Diagnostic[],
): ServedWith {
  const refuse = (code: KnownCode, field: string, message: string): ServedWith => {
    report(host, code, field, message, diagnostics);
    return { context, tls: { mode: "refuse", code } };
  };
  const { name } = context.resource;
  if (context.unusable !== null) {
    const code = context.unusable as KnownCode;
    return refuse(
      code,
      "tlsContext",
      `TLSContext ${name} cannot be used (${code}), and the name is not served without it`,
    );
  }
  const hosts = context.resource.spec.hosts ?? [];
  if (hosts.length > 0 && !hosts.some((each) => each.toLowerCase() === host.domain || each === host.name)) {
    const message = `TLSContext ${name} has other hosts: ${hosts.join(", ")}; it is used all the same`;
    const subject = host.subject;
    const source = positionOf(host, "tlsContext");
    const effect = "informational" as const;
    diagnostics.push(
      diagnose("host-context-mismatch", { subject, source, message, effect, severity: "warning" }),
    );
  }
  const own = secret === undefined ? undefined : secretCredentialName(host.namespace, secret);
  if (own !== undefined && context.credential !== undefined && own !== context.credential) {
    const message = `tlsSecret ${secret} and the certificate of TLSContext ${name} are not the same`;
    return refuse("host-context-mismatch", "tlsContext", message);
  }
  const credential = context.credential ?? own;
  if (credential === undefined)
    return refuse(
      "secret-missing",
      "tlsContext",
      `neither the Host nor TLSContext ${name} names a certificate`,
    );
  const status = statuses.credential(credential);
  const where = `secret ${secret} in namespace ${host.namespace}`;
  if (status === undefined)
    return refuse("secret-missing", "tlsSecret", `Host ${host.name} found no certificate in ${where}`);
  if (!status.usable) {
    const message = `Host ${host.name} cannot use the certificate of ${where}: ${status.reason}`;
    return refuse(status.code as KnownCode, "tlsSecret", message);
  }
  const trust = context.trust ?? (statuses.hasTrustAnchors(credential) ? credential : undefined);
  const tls = serverTls({ ...context, credential, trust });
  if (tls.mode === "refuse")
    return refuse(
      tls.code as KnownCode,
      "tlsContext",
      `TLSContext ${name} asks for client certificates and names no CA`,
    );
  return { context, tls };
}

/** Reference §2.6: without TLS a name is on the http listener; with TLS on additionalPort alone, 8080 where it is not written. */
function cleartextPolicy(
  host: HostResource,
  tls: ServerTls,
  context: CompiledContext | null,
): CleartextPolicy {
  const insecure = host.spec.requestPolicy?.insecure;
  const byDefault = host.subject.kind === "Host" ? "Redirect" : "Route";
  const action = (insecure?.action ?? byDefault).toLowerCase() as CleartextPolicy["action"];
  const port = insecure?.additionalPort;
  const ports = new Set<number>(tls.mode === "cleartext" || port === undefined ? [HTTP_LISTENER_PORT] : []);
  if (port !== undefined && port !== -1) ports.add(port);
  // A redirect that its context asks for is not undone by a route.
  const redirects = context?.resource.spec.redirect_cleartext_from === HTTP_LISTENER_PORT;
  return {
    action:
      ports.size === 0 || host.closedBy !== null
        ? "reject"
        : action === "route" && redirects
          ? "redirect"
          : action,
    ports: [...ports].sort((a, b) => a - b),
  };
}

function report(
  host: HostResource,
  code: KnownCode,
  field: string,
  message: string,
  diagnostics: Diagnostic[],
): void {
  const effect = code === "tls-context-other-namespace" ? {} : { effect: "host-refused" as const };
  diagnostics.push(
    diagnose(code, { subject: host.subject, source: positionOf(host, field), message, ...effect }),
  );
}
