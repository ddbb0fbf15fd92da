import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import {
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  TLSSocket,
} from "node:tls";
import type {
  Credential,
  CredentialReader,
  RevocationBundle,
  TrustBundle,
} from "../../../credentials/credential.ts";
import { peerExpectation, revocationOf } from "../../../credentials/peer-expectation.ts";
import type { ClientAuth, ServerTls } from "../../../model/tls.ts";
import { type ClientTerms, KnownIssuers } from "./client-check.ts";
import { RefusedHandshake, rawOf, UNRECOGNIZED_NAME } from "./handshake-failure.ts";
import { alpnProtocols, contextParameters } from "../../../model/openssl.ts";

export type TerminateTls = Extract<ServerTls, { mode: "terminate" }>;

/** How a handshake is held: what two hosts must share to share a tls.Server. */
export interface PolicyTerms extends ClientTerms {
  /** Client authentication with its rules, and parameters, as the model has them. */
  readonly shape: string;
  /** `shape` and the generations of the trust bundle and of what revokes. */
  readonly key: string;
  /** What client certificates must chain to; undefined where none is asked for. */
  readonly trust: TrustBundle | undefined;
  /** What revokes them; undefined too where the lists are not there, which is a matter of the rules. */
  readonly crl: RevocationBundle | undefined;
  /** Everything but the certificate. */
  readonly options: SecureContextOptions;
  readonly alpn: readonly string[];
}

/** What a policy is made of at this moment. Null: clients are to be checked and there is nothing to check them against, so handshakes are refused. */
export function policyTerms(
  tls: TerminateTls,
  { trust, crl }: Pick<PolicyTerms, "trust" | "crl">,
): PolicyTerms | null {
  const { clients, parameters } = tls;
  if (clients.mode !== "none" && trust === undefined) return null;
  const shape = JSON.stringify([clients, parameters]);
  const key = clients.mode === "none" ? shape : `${trust?.generation} ${crl?.generation} ${shape}`;
  return {
    shape,
    key,
    clients,
    trust,
    crl,
    expected:
      clients.mode === "none" || trust === undefined
        ? null
        : peerExpectation({ usage: "client" }, { trust, crl }, clients.rules),
    options: {
      ...contextParameters(parameters),
      ...(trust === undefined ? {} : { ca: [...trust.anchors] }),
      // A session of one policy, of one generation of trust and revocation, is never resumed under another.
      sessionIdContext: createHash("sha256").update(key).digest("hex").slice(0, 32),
    },
    alpn: alpnProtocols(parameters),
  };
}

/** What the store has now for a check of clients. */
export function clientEvidence(
  clients: ClientAuth,
  credentials: Pick<CredentialReader, "trust" | "crl">,
): Pick<PolicyTerms, "trust" | "crl"> {
  if (clients.mode === "none") return { trust: undefined, crl: undefined };
  return { trust: credentials.trust(clients.trust), crl: revocationOf(clients.rules, credentials) };
}

export interface PolicyEvents {
  readonly handshakeTimeoutMs: number;
  /** `socket`: whose handshake it is, as far as Node tells. */
  readonly certificate: (
    policy: Policy,
    serverName: string,
    socket: TLSSocket | null,
  ) => SecureContext | Error;
  /** What is sent with a certificate to clients that ask (RFC 6066 §8); `sha256` is the certificate's, in hex. */
  readonly staple: (sha256: string) => Buffer | null;
  readonly onSecure: (policy: Policy, socket: TLSSocket) => void;
  readonly onFailure: (error: NodeJS.ErrnoException, socket: TLSSocket) => void;
}

/** A tls.Server that never listens: Node fixes client authentication, tickets and ALPN per server. */
export class Policy {
  readonly terms: PolicyTerms;
  readonly issuers: KnownIssuers = new KnownIssuers();
  readonly #server: Server;
  /** Random for each policy, and as old as it: a new certificate ends no session, a new trust bundle or revocation list ends all. */
  readonly #ticketKeys: Buffer = randomBytes(48);
  #defaultKey: string | null = null;

  /** Throws where OpenSSL does not take the terms. */
  constructor(terms: PolicyTerms, events: PolicyEvents) {
    this.terms = terms;
    this.#server = createServer({
      ...terms.options,
      requestCert: terms.clients.mode !== "none",
      rejectUnauthorized: terms.clients.mode === "required",
      ALPNProtocols: [...terms.alpn],
      handshakeTimeout: events.handshakeTimeoutMs,
      ticketKeys: this.#ticketKeys,
      SNICallback: chooser((name, socket) => events.certificate(this, name, socket)),
    });
    this.#server.on("OCSPRequest", (certificate, _issuer, done) =>
      done(null, events.staple(createHash("sha256").update(certificate).digest("hex"))),
    );
    this.#server.on("secureConnection", (socket: TLSSocket) => {
      socket.allowHalfOpen = true;
      events.onSecure(this, socket);
    });
    this.#server.on("tlsClientError", events.onFailure);
  }

  /** Goes on with a connection of which nothing is consumed. */
  take(socket: Socket): void {
    // A client that closes its side in the middle of a handshake has gone; afterwards it may have said all it wants.
    socket.allowHalfOpen = false;
    this.#server.emit("connection", socket);
  }

  /** What a client without SNI is shown; null: nothing, and its handshake fails. `key` names the certificate. */
  setDefault(certificate: { key: string; options: SecureContextOptions } | null): void {
    const key = certificate?.key ?? null;
    if (key === this.#defaultKey) return;
    this.#defaultKey = key;
    this.#server.setSecureContext({
      ...(certificate?.options ?? this.terms.options),
      ticketKeys: this.#ticketKeys,
    } as SecureContextOptions);
  }
}

type SniCallback = (name: string, done: (error: Error | null, context?: SecureContext) => void) => void;

/** Node calls it as a method of the socket, which its documentation does not promise. */
function chooser(choose: (name: string, socket: TLSSocket | null) => SecureContext | Error): SniCallback {
  return function (this: unknown, name, done) {
    const chosen = choose(name, this instanceof TLSSocket ? this : null);
    if (!(chosen instanceof Error)) {
      done(null, chosen);
      return;
    }
    // Node ends it without a word. Nothing of a ServerHello is sent yet, so the alert may go in the clear (RFC 6066 §3).
    const isNamesFault = chosen instanceof RefusedHandshake && chosen.failure !== "settings_changed";
    if (isNamesFault && this instanceof TLSSocket) rawOf(this).write(UNRECOGNIZED_NAME);
    done(chosen);
  };
}

/** Names a certificate under the terms that it is shown by. */
export function certificateKey(credential: Credential, terms: PolicyTerms): string {
  return `${credential.name} ${credential.generation} ${terms.key}`;
}

/** The context chosen by SNI takes the server's place in OpenSSL, so it carries trust anchors and session id too. */
export function certificateOptions(credential: Credential, terms: PolicyTerms): SecureContextOptions {
  return { ...terms.options, cert: credential.certificateChain, key: credential.privateKey };
}
