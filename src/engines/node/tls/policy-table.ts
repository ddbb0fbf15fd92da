import { createSecureContext, type SecureContext } from "node:tls";
import type { Credential, CredentialChange, CredentialReader } from "../../../credentials/credential.ts";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import type { ServerTls } from "../../../model/tls.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { VirtualHostTable } from "../virtual-hosts.ts";
import {
  certificateKey,
  certificateOptions,
  clientEvidence,
  Policy,
  type PolicyEvents,
  type PolicyTerms,
  policyTerms,
  type TerminateTls,
} from "./policy.ts";
import { findServedName } from "./served-name.ts";

/** What serves a name at one moment. */
export interface ServedWith {
  readonly terms: PolicyTerms;
  readonly credential: Credential;
  readonly context: SecureContext;
}

export interface Refused {
  readonly failure: HandshakeReason;
}

export interface PolicyTableContext {
  readonly credentials: CredentialReader;
  readonly logger: Logger;
  /** Of every policy's handshakes. */
  readonly events: Omit<PolicyEvents, "staple">;
}

/**
 * Which policy and which certificate each server name has, by the hosts and credentials of this moment. A policy or
 * certificate that is still asked for stays as it is; the others go, with their ticket keys and key bytes.
 */
export class PolicyTable {
  readonly #context: PolicyTableContext;
  #hosts: VirtualHostTable;
  /** Null: OpenSSL does not take it. */
  readonly #policies = new Map<string, Policy | null>();
  readonly #certificates = new Map<string, SecureContext | null>();
  /** OCSP responses by the certificate that they are about. */
  readonly #staples = new Map<string, Buffer>();
  #only: Policy | null = null;
  /** Terms by host, as computing them is not for every handshake. */
  readonly #known = new WeakMap<TerminateTls, PolicyTerms>();

  constructor(hosts: VirtualHostTable, context: PolicyTableContext) {
    this.#hosts = hosts;
    this.#context = context;
    this.update(hosts);
  }

  /** The policy that every host of the table shares; null where they differ or one must be refused. */
  get only(): Policy | null {
    return this.#only;
  }

  update(hosts: VirtualHostTable): void {
    this.#hosts = hosts;
    const wanted = new Map<string, PolicyTerms>();
    const certificates = new Set<string>();
    let allServed = true;
    this.#staples.clear();
    for (const { tls } of hosts.all) {
      if (tls.mode === "cleartext") continue;
      const terms = tls.mode === "terminate" ? this.#terms(tls) : null;
      if (terms !== null) wanted.set(terms.key, terms);
      const credential =
        tls.mode === "terminate" ? this.#context.credentials.credential(tls.credential) : undefined;
      if (terms === null || credential === undefined) allServed = false;
      else {
        certificates.add(certificateKey(credential, terms));
        const { ocspStaple, facts } = credential;
        if (ocspStaple !== undefined && facts[0] !== undefined)
          this.#staples.set(facts[0].sha256, ocspStaple.response);
      }
    }
    for (const key of this.#policies.keys()) if (!wanted.has(key)) this.#policies.delete(key);
    for (const key of this.#certificates.keys()) if (!certificates.has(key)) this.#certificates.delete(key);
    const [terms] = wanted.values();
    this.#only = allServed && wanted.size === 1 && terms !== undefined ? this.policy(terms) : null;
    for (const policy of this.#policies.values()) if (policy !== null) this.#setDefault(policy);
  }

  /** Any credential may have changed, without `change`. */
  onCredentialChange(change: CredentialChange | undefined): void {
    if (change === undefined || this.#hosts.all.some(({ tls }) => uses(tls, change.name)))
      this.update(this.#hosts);
  }

  /** What serves a name at this moment: never another host's certificate, never less than its check (design §4.1). */
  find(serverName: string | null): ServedWith | Refused {
    const named = findServedName(this.#hosts, serverName);
    if ("failure" in named) return named;
    const { host, tls } = named;
    const terms = this.#terms(tls);
    if (terms === null) return HOST_UNUSABLE;
    const credential = this.#context.credentials.credential(tls.credential);
    if (credential === undefined) return HOST_UNUSABLE;
    const key = certificateKey(credential, terms);
    let context = this.#certificates.get(key);
    if (context === undefined) {
      context = this.#attempt(host.origin, () => createSecureContext(certificateOptions(credential, terms)));
      this.#certificates.set(key, context);
    }
    return context === null ? HOST_UNUSABLE : { terms, credential, context };
  }

  /** Null: OpenSSL does not take it. */
  policy(terms: PolicyTerms): Policy | null {
    let policy = this.#policies.get(terms.key);
    if (policy === undefined) {
      const events = {
        ...this.#context.events,
        staple: (sha256: string) => this.#staples.get(sha256) ?? null,
      };
      policy = this.#attempt("listener", () => new Policy(terms, events));
      this.#policies.set(terms.key, policy);
      if (policy !== null) this.#setDefault(policy);
    }
    return policy;
  }

  /** Null: the trust bundle to check clients against is not usable. */
  #terms(tls: TerminateTls): PolicyTerms | null {
    const { clients } = tls;
    const evidence = clientEvidence(clients, this.#context.credentials);
    const known = this.#known.get(tls);
    if (known !== undefined && known.trust === evidence.trust && known.crl === evidence.crl) return known;
    const terms = policyTerms(tls, evidence);
    if (terms === null) this.#known.delete(tls);
    else this.#known.set(tls, terms);
    return terms;
  }

  /** Without SNI only a host for `*` answers. */
  #setDefault(policy: Policy): void {
    const serving = this.find(null);
    if ("failure" in serving || serving.terms.key !== policy.terms.key) policy.setDefault(null);
    else {
      const { credential, terms } = serving;
      policy.setDefault({
        key: certificateKey(credential, terms),
        options: certificateOptions(credential, terms),
      });
    }
  }

  /** What OpenSSL does not take disables its own hosts only. Its messages hold no key material. */
  #attempt<T>(origin: string, make: () => T): T | null {
    try {
      return make();
    } catch (error) {
      const reason = (error as Error).message;
      this.#context.logger.warn({ origin, reason }, "TLS settings are unusable: handshakes are refused");
      return null;
    }
  }
}

const HOST_UNUSABLE: Refused = { failure: "credential_unavailable" };

function uses(tls: ServerTls, name: string): boolean {
  if (tls.mode !== "terminate") return false;
  const { clients } = tls;
  if (tls.credential === name) return true;
  return clients.mode !== "none" && (clients.trust === name || clients.rules?.revocation?.crl === name);
}
