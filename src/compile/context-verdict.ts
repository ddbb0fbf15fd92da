import { diagnose, type KnownCode } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import type { PeerRules } from "../model/tls.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";
import { fileCredentialName, type TlsContextResource } from "../resources/tls-context.ts";
import type { NamedCredential } from "./context-credentials.ts";
import type { CredentialStatuses, Status } from "./statuses.ts";

/** What is said of one TLSContext, to whoever wrote it, and whether it may be used after that. */
export class ContextVerdict {
  readonly subject: Subject;
  /** What messages call it. */
  readonly label: string;
  readonly #resource: TlsContextResource;
  readonly #statuses: CredentialStatuses;
  readonly #diagnostics: Diagnostic[];
  #unusable: string | null;

  constructor(resource: TlsContextResource, statuses: CredentialStatuses, diagnostics: Diagnostic[]) {
    this.subject = resource.writtenIn ?? subjectOf(resource);
    this.label =
      resource.writtenIn === undefined
        ? `TLSContext ${resource.name}`
        : `${this.subject.kind} ${this.subject.name}`;
    this.#resource = resource;
    this.#statuses = statuses;
    this.#diagnostics = diagnostics;
    this.#unusable = resource.closedBy;
  }

  /** The first diagnostic that makes it unusable; null: it may be relied on. */
  get unusable(): string | null {
    return this.#unusable;
  }

  report(code: KnownCode, field: string, message: string): void {
    const isFatal = UNUSABLE.has(code);
    this.#diagnostics.push(
      diagnose(code, {
        subject: this.subject,
        source: positionOf(this.#resource, field),
        message,
        ...(this.#resource.terminates && isFatal ? { effect: "host-refused" as const } : {}),
      }),
    );
    if (isFatal) this.#unusable ??= code;
  }

  /** The same about `verify`, part of it where parts have a place: an annotation has one for all. */
  reportRule(code: KnownCode, field: string, message: string): void {
    this.report(code, this.#ruleField(field), message);
  }

  judgeCertificate(certificate: NamedCredential): void {
    const { name } = certificate;
    // A chain without its key is known as the CA bundle that it may be.
    this.#judge(certificate, "certificate", this.#statuses.credential(name), () =>
      this.#statuses.trust(name) === undefined ? "secret-missing" : "secret-key-missing",
    );
  }

  judgeTrust(trust: NamedCredential): void {
    this.#judge(trust, "CA certificate", this.#statuses.trust(trust.name), () => "secret-missing");
  }

  /** Lists that have gone stale are the engines' to judge, in each handshake. */
  judgeLists({ crl, policy }: NonNullable<PeerRules["revocation"]>): void {
    const status = this.#statuses.crl(crl);
    if (status?.usable === true || this.#isToldAtItsPath(crl, status)) return;
    const { verify } = this.#resource.spec;
    const field = this.#ruleField(verify?.crl_file === undefined ? "verify.crl_secret" : "verify.crl_file");
    const isNeeded = status !== undefined || policy !== "allow-missing";
    const code = (status?.code ?? "crl-missing") as KnownCode;
    const why = status === undefined ? "" : `: ${status.reason}`;
    const effect = this.#resource.terminates ? ("host-refused" as const) : ("route-fails-closed" as const);
    this.#diagnostics.push(
      diagnose(code, {
        subject: this.subject,
        source: positionOf(this.#resource, field),
        message: `${this.label} finds no revocation lists in ${crl}${why}`,
        ...(isNeeded ? { effect } : ({ severity: "warning", effect: "informational" } as const)),
      }),
    );
    if (isNeeded) this.#unusable ??= code;
  }

  #judge(
    { name, field }: NamedCredential,
    what: string,
    status: Status | undefined,
    codeOfMissing: () => "secret-missing" | "secret-key-missing",
  ): void {
    if (status?.usable === true || this.#isToldAtItsPath(name, status)) return;
    const { label } = this;
    const where = placeText(name);
    // Why is told by the issuer's own finding, which is of now.
    if (field === "identity" && (status === undefined || status.code === "issuer-unavailable")) {
      if (this.#unusable !== "issuer-unavailable")
        this.report("issuer-unavailable", field, `${label} has got no ${what} from ${name}`);
    } else if (status === undefined) {
      const code = codeOfMissing();
      const missing = code === "secret-key-missing" ? "private key" : what;
      this.report(code, field, `${label} found no ${missing} in ${where}`);
    } else {
      const message = `${label} cannot use the ${what} of ${where}: ${status.reason}`;
      this.report(status.code as KnownCode, field, message);
    }
    // Whatever the code, also one that nobody has put into the set below.
    this.#unusable ??= status?.code ?? "secret-missing";
  }

  /** Of the context's own files the store tells, at the path and with what it costs here. */
  #isToldAtItsPath(name: string, status: Status | undefined): boolean {
    if (name !== fileCredentialName(this.#resource) || status === undefined || status.usable) return false;
    this.#unusable ??= status.code;
    return true;
  }

  #ruleField(field: string): string {
    return this.#resource.raw.fields.has(`spec.${field}`) ? field : "verify";
  }
}

/** Names in the store that begin so are those of Secrets: `secret/NAMESPACE/NAME`. */
function placeText(name: string): string {
  const [kind, namespace, secret] = name.split("/");
  return kind === "secret" ? `secret ${secret} in namespace ${namespace}` : name;
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
