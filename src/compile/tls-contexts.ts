import { diagnose, type KnownCode } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import type { EngineName } from "../model/capabilities.ts";
import type { PeerRules, TlsParameters } from "../model/tls.ts";
import { type RuledPeers, untranslatableRules } from "../model/tls-capabilities.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { fileCredentialName, type TlsContextResource } from "../resources/tls-context.ts";
import { identityName } from "../resources/tls-identity.ts";
import { BESIDE_IDENTITY, certificateName, secretName, trustName } from "./context-credentials.ts";
import { peerRules, withOwnDomain } from "./peer-rules.ts";
import { type CredentialStatuses, isByTrustDomain, trustDomainOf } from "./statuses.ts";
import { compileParameters } from "./tls-parameters.ts";

/** A TLSContext, written or implied, brought into the model's terms, for either direction. */
export interface CompiledContext {
  readonly resource: TlsContextResource;
  /** `namespace/name`. */
  readonly name: string;
  /** Who wrote it: itself, or the Host, Ingress or Module that implies it. */
  readonly subject: Subject;
  /** The diagnostic that makes it unusable; null: all below may be relied on. */
  readonly unusable: string | null;
  /** What of it the engine would not keep for upstreams, where it serves clients; null: nothing. */
  readonly unkeptUpstream: string | null;
  readonly credential: string | undefined;
  readonly trust: string | undefined;
  /** Of the certificate's SPIFFE ID; absent: it has none. */
  readonly trustDomain: string | undefined;
  /** What `verify` asks of peers. */
  readonly rules: PeerRules | undefined;
  readonly parameters: TlsParameters;
}

/** First pass: each context by itself, so that whoever names one later finds it judged. */
export function compileTlsContexts(
  contexts: readonly TlsContextResource[],
  statuses: CredentialStatuses,
  namespacingDefault: boolean,
  engine: EngineName,
): { readonly value: ReadonlyMap<string, CompiledContext>; readonly diagnostics: readonly Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const compiled = new Map<string, CompiledContext>();
  for (const resource of contexts) {
    const context = compileContext(resource, statuses, namespacingDefault, engine, diagnostics);
    // One that a Module implies gives way to one that somebody wrote, as far as the name goes.
    const key = compiled.has(context.name) ? `${context.name} of ${context.subject.kind}` : context.name;
    compiled.set(key, { ...context, name: key });
  }
  return { value: compiled, diagnostics };
}

/** One context by itself; what is wrong with it is said of whoever wrote it. */
export function compileContext(
  resource: TlsContextResource,
  statuses: CredentialStatuses,
  namespacingDefault: boolean,
  engine: EngineName,
  diagnostics: Diagnostic[],
): CompiledContext {
  const { spec } = resource;
  const isTermination = resource.terminates;
  const subject = resource.writtenIn ?? subjectOf(resource);
  const label =
    resource.writtenIn === undefined ? `TLSContext ${resource.name}` : `${subject.kind} ${subject.name}`;
  let unusable: string | null = resource.closedBy;
  const report = (code: KnownCode, field: string, message: string): void => {
    diagnostics.push(
      diagnose(code, {
        subject,
        source: positionOf(resource, field),
        message,
        ...(isTermination && UNUSABLE.has(code) ? { effect: "host-refused" as const } : {}),
      }),
    );
    if (UNUSABLE.has(code)) unusable ??= code;
  };

  if (spec.secret !== undefined && spec.cert_chain_file !== undefined) {
    report(
      "tls-context-invalid",
      "cert_chain_file",
      "exactly one of secret and cert_chain_file must be present",
    );
  }
  if (spec.cert_chain_file !== undefined && spec.private_key_file === undefined) {
    report("tls-context-invalid", "cert_chain_file", "cert_chain_file requires private_key_file as well");
  }
  if (spec.private_key_file !== undefined && spec.cert_chain_file === undefined) {
    report("tls-context-invalid", "private_key_file", "private_key_file is missing cert_chain_file");
  }
  // One name for the certificate and the CA: an issuer delivers both.
  const issued = spec.identity === undefined ? undefined : identityName(spec.identity);
  const beside = BESIDE_IDENTITY.find((field) => spec[field] !== undefined);
  if (issued !== undefined && beside !== undefined)
    report(
      "tls-context-invalid",
      beside,
      `identity gives the certificate and the CA; ${beside} would as well`,
    );
  const credential =
    issued ??
    (spec.secret !== undefined
      ? certificateName(spec.secret, resource, statuses, namespacingDefault)
      : spec.cert_chain_file !== undefined
        ? fileCredentialName(resource)
        : undefined);
  const trust = issued ?? trustName(resource, credential, statuses, namespacingDefault);
  // A Secret may be named for its CA alone (`ca.crt`): then there is no certificate to present, and none is missing.
  const onlyTrust =
    issued === undefined &&
    credential !== undefined &&
    trust === credential &&
    statuses.credential(credential) === undefined;
  if (credential !== undefined && !onlyTrust) {
    judge(
      "certificate",
      issued !== undefined ? "identity" : spec.secret === undefined ? "cert_chain_file" : "secret",
      credential,
      statuses.credential(credential),
    );
  }
  if (trust !== undefined) {
    const field =
      issued !== undefined
        ? "identity"
        : spec.ca_secret !== undefined
          ? "ca_secret"
          : spec.cacert_chain_file !== undefined
            ? "cacert_chain_file"
            : "secret";
    judge("CA certificate", field, trust, statuses.trust(trust));
  }
  if (isTermination && spec.cert_required === true && trust === undefined) {
    report(
      "client-ca-missing",
      "cert_required",
      "cert_required is set and there is no CA to check certificates against",
    );
  }
  // Of one that is closed nobody knows what was to be its certificate.
  if (isTermination && resource.closedBy === null && (credential === undefined || onlyTrust)) {
    report("secret-missing", "hosts", `${label} has hosts to serve and no certificate`);
  }
  const trustDomain = credential === undefined ? undefined : trustDomainOf(statuses.credential(credential));
  const written = peerRules(
    resource,
    trust !== undefined,
    clientsAreChecked(resource),
    (written) => secretName(written, resource, namespacingDefault),
    (field, message) => report("tls-context-invalid", positionField(resource, field), message),
  );
  const rules = written === undefined ? undefined : withOwnDomain(written, spec.identity, trustDomain);
  if (rules?.revocation !== undefined) judgeLists(rules.revocation);
  const unkept = (peers: RuledPeers): ReturnType<typeof untranslatableRules> => {
    if (engine !== "envoy" || rules === undefined) return [];
    const domains = isByTrustDomain(trust === undefined ? undefined : statuses.trust(trust));
    return untranslatableRules(rules, {
      byTrustDomain: spec.identity?.spiffe !== undefined || domains,
      peers,
    });
  };
  const isOptional = spec.cert_required !== true && clientsAreChecked(resource);
  const peers = !isTermination ? "upstreams" : isOptional ? "optional-clients" : "clients";
  for (const { field, message } of unkept(peers))
    report("tls-engine-cannot", positionField(resource, field), message);
  const parameters = compileParameters(resource, engine, report);
  return {
    resource,
    name: `${resource.namespace}/${resource.name}`,
    subject,
    unusable,
    unkeptUpstream: unkept("upstreams")[0]?.message ?? null,
    credential: onlyTrust ? undefined : credential,
    trust,
    trustDomain,
    rules,
    parameters,
  };

  /** Lists that have gone stale are the engines' to judge, in each handshake. */
  function judgeLists({ crl, policy }: NonNullable<PeerRules["revocation"]>): void {
    const status = statuses.crl(crl);
    if (status?.usable === true || isToldAtItsPath(crl, status)) return;
    const field = resource.spec.verify?.crl_file === undefined ? "verify.crl_secret" : "verify.crl_file";
    const source = positionOf(resource, positionField(resource, field));
    const isNeeded = status !== undefined || policy !== "allow-missing";
    const code = (status?.code ?? "crl-missing") as KnownCode;
    const message = `${label} finds no revocation lists in ${crl}${status === undefined ? "" : `: ${status.reason}`}`;
    const effect = isTermination ? ("host-refused" as const) : ("route-fails-closed" as const);
    const weight = isNeeded ? { effect } : ({ severity: "warning", effect: "informational" } as const);
    diagnostics.push(diagnose(code, { subject, source, message, ...weight }));
    if (isNeeded) unusable ??= code;
  }

  /** Of the context's own files the store tells, at the path and with what it costs here. */
  function isToldAtItsPath(name: string, status: ReturnType<CredentialStatuses["trust"]>): boolean {
    if (name !== fileCredentialName(resource) || status === undefined || status.usable) return false;
    unusable ??= status.code;
    return true;
  }

  function judge(
    what: string,
    field: string,
    name: string,
    status: ReturnType<CredentialStatuses["trust"]>,
  ): void {
    if (status?.usable === true || isToldAtItsPath(name, status)) return;
    const where = name.startsWith("secret/")
      ? `secret ${name.split("/")[2]} in namespace ${name.split("/")[1]}`
      : name;
    // A chain without its key is known as the CA bundle that it may be.
    const hasNoKey = status === undefined && what === "certificate" && statuses.trust(name) !== undefined;
    // Why is told by the issuer's own finding, which is of now.
    if (name === issued && (status === undefined || status.code === "issuer-unavailable")) {
      if (unusable !== "issuer-unavailable")
        report("issuer-unavailable", field, `${label} has got no ${what} from ${name}`);
    } else if (hasNoKey) report("secret-key-missing", field, `${label} found no private key in ${where}`);
    else if (status === undefined) report("secret-missing", field, `${label} found no ${what} in ${where}`);
    else
      report(
        status.code as KnownCode,
        field,
        `${label} cannot use the ${what} of ${where}: ${status.reason}`,
      );
    // Whatever the code, also one that nobody has put into the set below.
    unusable ??= status?.code ?? "secret-missing";
  }
}

/** Codes after which a context may not be used; the others tell of something that was put right. */
const UNUSABLE: ReadonlySet<string> = new Set([
  "tls-context-invalid",
  "tls-version-unknown",
  "tls-cipher-unknown",
  "tls-group-unknown",
  "tls-engine-cannot",
  "client-ca-missing",
  "secret-missing",
  "issuer-unavailable",
  "secret-key-missing",
  "certificate-file-unreadable",
  "pem-invalid",
  "private-key-invalid",
  "private-key-encrypted",
  "private-key-mismatch",
  "certificate-expired",
  "certificate-not-yet-valid",
  "certificate-purpose",
  "certificate-key-weak",
  "certificate-signature-weak",
  "certificate-chain-invalid",
  "trust-empty",
  "trust-not-ca",
]);

/** A `ca.crt` that came with the server's own certificate names its issuer; only a CA that was asked for checks clients. */
export function clientsAreChecked({ spec }: TlsContextResource): boolean {
  return spec.ca_secret !== undefined || spec.cacert_chain_file !== undefined || spec.cert_required === true;
}

/** An annotation has one place for all of it. */
function positionField(resource: TlsContextResource, field: string): string {
  return resource.raw.fields.has(`spec.${field}`) ? field : "verify";
}
