import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import type { EngineName } from "../model/capabilities.ts";
import type { PeerRules, TlsParameters } from "../model/tls.ts";
import { type RuledPeers, untranslatableRules } from "../model/tls-capabilities.ts";
import type { TlsContextResource, TlsContextSpec } from "../resources/tls-context.ts";
import { contextCredentials, secretName } from "./context-credentials.ts";
import { ContextVerdict } from "./context-verdict.ts";
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
  const { spec, terminates } = resource;
  const verdict = new ContextVerdict(resource, statuses, diagnostics);
  const report = verdict.report.bind(verdict);
  checkFields(spec, report);
  const { certificate, trust } = contextCredentials(resource, statuses, namespacingDefault);
  if (certificate !== undefined) verdict.judgeCertificate(certificate);
  if (trust !== undefined) verdict.judgeTrust(trust);
  if (terminates && spec.cert_required === true && trust === undefined) {
    report(
      "client-ca-missing",
      "cert_required",
      "cert_required is set and there is no CA to check certificates against",
    );
  }
  // Of one that is closed nobody knows what was to be its certificate.
  if (terminates && resource.closedBy === null && certificate === undefined)
    report("secret-missing", "hosts", `${verdict.label} has hosts to serve and no certificate`);
  const trustDomain =
    certificate === undefined ? undefined : trustDomainOf(statuses.credential(certificate.name));
  const written = peerRules(
    resource,
    trust !== undefined,
    clientsAreChecked(resource),
    (secret) => secretName(secret, resource, namespacingDefault),
    (field, message) => verdict.reportRule("tls-context-invalid", field, message),
  );
  const rules = written === undefined ? undefined : withOwnDomain(written, spec.identity, trustDomain);
  if (rules?.revocation !== undefined) verdict.judgeLists(rules.revocation);
  const unkept = (peers: RuledPeers): ReturnType<typeof untranslatableRules> => {
    if (engine !== "envoy" || rules === undefined) return [];
    const isOneDomain = isByTrustDomain(trust === undefined ? undefined : statuses.trust(trust.name));
    const byTrustDomain = spec.identity?.spiffe !== undefined || isOneDomain;
    return untranslatableRules(rules, { byTrustDomain, peers });
  };
  for (const { field, message } of unkept(peersOf(resource)))
    verdict.reportRule("tls-engine-cannot", field, message);
  const parameters = compileParameters(resource, engine, report);
  return {
    resource,
    name: `${resource.namespace}/${resource.name}`,
    subject: verdict.subject,
    unusable: verdict.unusable,
    unkeptUpstream: unkept("upstreams")[0]?.message ?? null,
    credential: certificate?.name,
    trust: trust?.name,
    trustDomain,
    rules,
    parameters,
  };
}

/** A `ca.crt` that came with the server's own certificate names its issuer; only a CA that was asked for checks clients. */
export function clientsAreChecked({ spec }: TlsContextResource): boolean {
  return spec.ca_secret !== undefined || spec.cacert_chain_file !== undefined || spec.cert_required === true;
}

/** Fields that do not go together, and those that do not go alone. */
function checkFields(spec: TlsContextSpec, report: ContextVerdict["report"]): void {
  const refuse = (field: string, message: string): void => report("tls-context-invalid", field, message);
  if (spec.secret !== undefined && spec.cert_chain_file !== undefined)
    refuse("cert_chain_file", "exactly one of secret and cert_chain_file must be present");
  if (spec.cert_chain_file !== undefined && spec.private_key_file === undefined)
    refuse("cert_chain_file", "cert_chain_file requires private_key_file as well");
  if (spec.private_key_file !== undefined && spec.cert_chain_file === undefined)
    refuse("private_key_file", "private_key_file is missing cert_chain_file");
  const beside = BESIDE_IDENTITY.find((field) => spec[field] !== undefined);
  if (spec.identity !== undefined && beside !== undefined)
    refuse(beside, `identity gives the certificate and the CA; ${beside} would as well`);
}

/** What `identity` stands for, and may not stand beside. */
const BESIDE_IDENTITY = [
  "secret",
  "ca_secret",
  "cert_chain_file",
  "private_key_file",
  "cacert_chain_file",
] as const;

/** Whom its rules are for. */
function peersOf(resource: TlsContextResource): RuledPeers {
  if (!resource.terminates) return "upstreams";
  const isOptional = resource.spec.cert_required !== true && clientsAreChecked(resource);
  return isOptional ? "optional-clients" : "clients";
}
