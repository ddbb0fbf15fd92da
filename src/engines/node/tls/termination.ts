import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import type { CredentialChange, CredentialReader } from "../../../credentials/credential.ts";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import type { ClientAuth } from "../../../model/tls.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { HandshakeSink } from "../../engine.ts";
import type { Limits } from "../limits.ts";
import { connectionKey } from "../listening-socket.ts";
import type { VirtualHostTable } from "../virtual-hosts.ts";
import { checkClient, unverifiedBecause, type VouchedClient } from "./client-check.ts";
import { normaliseServerName } from "./client-hello.ts";
import {
  DECODE_ERROR,
  failureOf,
  failureOfHello,
  NOISE,
  PLAINTEXT_ANSWER,
  RefusedHandshake,
  rawOf,
  refuseWith,
  UNRECOGNIZED_NAME,
} from "./handshake-failure.ts";
import { type HelloOutcome, readHello } from "./hello-reader.ts";
import type { Policy, PolicyTerms } from "./policy.ts";
import { PolicyTable } from "./policy-table.ts";

export interface SecureConnection {
  readonly socket: TLSSocket;
  readonly serverName: string | null;
  readonly clients: ClientAuth;
  readonly clientIdentity: string | null;
  /** Null: it showed no certificate. */
  readonly vouched: VouchedClient | null;
}

export interface TerminationContext {
  readonly credentials: CredentialReader;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly listener: string;
  readonly onFailed: HandshakeSink | undefined;
  /** The client's address, for the log. */
  readonly addressOf: (socket: Socket) => string;
  readonly onSecure: (connection: SecureConnection) => void;
}

/**
 * Ends TLS for a listener. Each policy (client authentication with its generations of trust and revocation, and parameters) is a tls.Server
 * of its own, as Node fixes those per server; certificates are chosen by SNI within it. Where all hosts share one policy,
 * and all can be served, a connection goes straight there; otherwise its ClientHello is read first.
 */
export class Termination {
  readonly failures: Map<HandshakeReason, number> = new Map();
  readonly #context: TerminationContext;
  readonly #table: PolicyTable;
  /** Server names that were read ahead of the handshake, by connection. */
  readonly #peeked = new Map<string, string | null>();
  /** Of handshakes under way, for what is told of those that fail: Node closes the socket first. */
  readonly #asked = new WeakMap<
    TLSSocket,
    { readonly serverName: string; readonly tlsVersion: string | null }
  >();
  readonly #clients = new WeakMap<Socket, string>();

  constructor(hosts: VirtualHostTable, context: TerminationContext) {
    this.#context = context;
    const { credentials, logger } = context;
    this.#table = new PolicyTable(hosts, {
      credentials,
      logger,
      events: {
        handshakeTimeoutMs: context.limits.handshakeTimeoutMs,
        certificate: (policy, serverName, socket) => {
          if (socket !== null) this.#asked.set(socket, { serverName, tlsVersion: socket.getProtocol() });
          return this.#certificate(policy, serverName);
        },
        onSecure: (policy, socket) => this.#onSecure(policy, socket),
        onFailure: (error, socket) => this.#onFailure(error, socket),
      },
    });
  }

  /** New handshakes follow `hosts` and the credentials of this moment; open connections are `ClientRoll`'s. */
  update(hosts: VirtualHostTable): void {
    this.#table.update(hosts);
  }

  onCredentialChange(change: CredentialChange | undefined): void {
    this.#table.onCredentialChange(change);
  }

  /** `serverName` where somebody has read the ClientHello already, of which nothing is consumed. */
  accept(socket: Socket, serverName?: string | null): void {
    this.#clients.set(socket, this.#context.addressOf(socket));
    if (serverName !== undefined) this.#onHello(socket, { kind: "hello", serverName });
    else if (this.#table.only !== null) this.#table.only.take(socket);
    else
      readHello(socket, this.#context.limits.handshakeTimeoutMs, (outcome) => this.#onHello(socket, outcome));
  }

  #onHello(socket: Socket, outcome: HelloOutcome): void {
    const client = this.#clientOf(socket);
    if (outcome.kind === "hello") {
      const { serverName } = outcome;
      const serving = this.#table.find(serverName);
      const policy = "failure" in serving ? null : this.#table.policy(serving.terms);
      if (policy !== null) {
        const connection = connectionKey(socket);
        this.#peeked.set(connection, serverName);
        socket.once("close", () => this.#peeked.delete(connection));
        policy.take(socket);
        return;
      }
      this.#count("failure" in serving ? serving.failure : "credential_unavailable", { serverName, client });
      refuseWith(socket, UNRECOGNIZED_NAME);
      return;
    }
    this.#count(failureOfHello(outcome.kind), { client });
    if (outcome.kind === "not_tls") refuseWith(socket, PLAINTEXT_ANSWER);
    else if (outcome.kind === "malformed_hello") refuseWith(socket, DECODE_ERROR);
    else {
      socket.on("error", ignore);
      socket.destroy();
    }
  }

  /** Only the trust generation may have moved on since the connection came: the context brings its own anchors. */
  #certificate(policy: Policy, serverName: string): SecureContext | Error {
    const serving = this.#table.find(normaliseServerName(serverName));
    if ("failure" in serving) return new RefusedHandshake(serving.failure);
    return serving.terms.shape === policy.terms.shape
      ? serving.context
      : new RefusedHandshake("settings_changed");
  }

  #onFailure(error: NodeJS.ErrnoException, socket: TLSSocket): void {
    const unverified = socket.authorizationError;
    const serverName = this.#asked.get(socket)?.serverName ?? null;
    if (error instanceof RefusedHandshake) this.refuse(socket, error.failure, { serverName });
    else if (unverified)
      this.refuse(socket, unverifiedBecause(unverified), { serverName, cause: String(unverified) });
    else this.refuse(socket, failureOf(error), { serverName, cause: error.code ?? error.message });
  }

  /**
   * The last word on a handshake. A resumed session passes by SNICallback, so what it would have refused is refused here:
   * a host that is gone, a credential withdrawn, a check that changed.
   */
  #onSecure(policy: Policy, socket: TLSSocket): void {
    const serverName = this.#serverName(socket);
    if (serverName === undefined) {
      // Every host is served under this one policy; which of them is asked for shows in the request.
      if (this.#table.only === policy) this.#hand(socket, null, policy.terms, policy);
      else this.refuse(socket, "settings_changed", {});
      return;
    }
    const serving = this.#table.find(serverName);
    if ("failure" in serving) {
      this.refuse(socket, serving.failure, { serverName });
      return;
    }
    const { terms } = serving;
    const chosenByName = serverName !== null && !socket.isSessionReused();
    const held = chosenByName ? terms.shape === policy.terms.shape : terms.key === policy.terms.key;
    if (held) this.#hand(socket, serverName, terms, policy);
    else this.refuse(socket, "settings_changed", { serverName });
  }

  #hand(socket: TLSSocket, serverName: string | null, terms: PolicyTerms, { issuers }: Policy): void {
    const { clients } = terms;
    const check = checkClient(socket, terms, issuers);
    if ("refused" in check) this.refuse(socket, check.refused, { serverName, cause: check.cause });
    else {
      const { identity, vouched } = check;
      this.#context.onSecure({ socket, serverName, clients, clientIdentity: identity, vouched });
    }
  }

  /** Undefined: a resumed TLS 1.2 session, of which Node does not say it, and nobody has read it ahead. */
  #serverName(socket: TLSSocket): string | null | undefined {
    const name = socket.servername;
    if (typeof name === "string" && name !== "") return normaliseServerName(name);
    if (!socket.isSessionReused() || socket.getProtocol() === "TLSv1.3") return null;
    return this.#peeked.get(connectionKey(socket));
  }

  /** Ends a connection whose handshake came to nothing, and tells of it. */
  refuse(socket: Socket, failure: HandshakeReason, detail: FailureDetail): void {
    const tlsVersion = socket instanceof TLSSocket ? this.#versionOf(socket) : null;
    this.#count(failure, { ...detail, tlsVersion, client: this.#clientOf(socket) });
    socket.on("error", ignore);
    socket.destroy();
  }

  #clientOf(socket: Socket): string {
    return this.#clients.get(rawOf(socket)) ?? this.#context.addressOf(socket);
  }

  /** Null: none was agreed upon, though Node names one then as well; or the socket is closed. */
  #versionOf(socket: TLSSocket): string | null {
    return this.#asked.get(socket)?.tlsVersion ?? (socket.getCipher() && socket.getProtocol()) ?? null;
  }

  #count(reason: HandshakeReason, detail: FailureDetail & { readonly client: string }): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
    const { listener, logger, onFailed } = this.#context;
    const id = randomUUID();
    logger[NOISE.has(reason) ? "debug" : "info"]({ id, reason, listener, ...detail }, "TLS handshake failed");
    const { serverName = null, cause = null, tlsVersion = null, client } = detail;
    const time = new Date().toISOString();
    onFailed?.({ id, time, listener, serverName, client, tlsVersion, reason, cause });
  }
}

interface FailureDetail {
  readonly serverName?: string | null;
  readonly cause?: string | null;
  readonly tlsVersion?: string | null;
}

const ignore = (): void => {};
