import { createHash, randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from "node:tls";
import type { Credential, CredentialReader } from "../../../credentials/credential.ts";
import type { ClientAuth, ServerTls } from "../../../model/tls.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { Limits } from "../limits.ts";
import type { VirtualHostTable } from "../virtual-hosts.ts";
import { MAX_HELLO_BYTES, peekClientHello } from "./client-hello.ts";
import { alpnProtocols, contextParameters } from "./parameters.ts";

export interface TerminationContext {
  readonly credentials: CredentialReader;
  readonly limits: Limits;
  readonly logger: Logger;
  readonly onSecure: (socket: TLSSocket, clients: ClientAuth) => void;
}

/**
 * Ends TLS for a listener. Each policy (client authentication with its trust generation, and parameters) is a tls.Server
 * of its own, as Node fixes those per server; certificates are chosen by SNI within it. Where all hosts share one policy a
 * connection goes straight there; otherwise its ClientHello is read first.
 */
export class Termination {
  readonly #context: TerminationContext;
  #hosts: VirtualHostTable;
  readonly #policies = new Map<string, Policy>();
  readonly #certificates = new Map<string, SecureContext>();
  /** The policy that every host of the table shares; null where they differ. */
  #only: Policy | null = null;

  constructor(hosts: VirtualHostTable, context: TerminationContext) {
    this.#hosts = hosts;
    this.#context = context;
    this.update(hosts);
  }

  /** New handshakes follow `hosts` and the credentials of this moment; connections that are open live on. */
  update(hosts: VirtualHostTable): void {
    this.#hosts = hosts;
    this.#certificates.clear();
    const wanted = new Set<string>();
    let representative: TerminateTls | null = null;
    for (const { tls } of hosts.all) {
      const key = tls.mode === "terminate" ? this.#policyKey(tls) : null;
      if (key === null || tls.mode !== "terminate") continue;
      wanted.add(key);
      representative = tls;
    }
    // A policy that is still asked for keeps its ticket keys; the others go, and their tickets with them.
    for (const key of this.#policies.keys()) if (!wanted.has(key)) this.#policies.delete(key);
    this.#only = wanted.size === 1 && representative !== null ? this.#policyOf(representative) : null;
    for (const policy of this.#policies.values()) this.#setDefault(policy);
  }

  /** A credential or trust bundle changed under the same hosts. */
  refresh(): void {
    this.update(this.#hosts);
  }

  accept(socket: Socket): void {
    if (this.#only !== null) this.#only.server.emit("connection", socket);
    else this.#peek(socket);
  }

  /** What a handshake is held to; null where it is refused. */
  #policyOf(tls: ServerTls | undefined): Policy | null {
    if (tls?.mode !== "terminate") return null;
    const key = this.#policyKey(tls);
    if (key === null) return null;
    let policy = this.#policies.get(key);
    if (policy === undefined) {
      policy = createPolicy(tls, sessionIdOf(key), this.#context, (serverName) =>
        this.#certificate(serverName),
      );
      this.#policies.set(key, policy);
      this.#setDefault(policy);
    }
    return policy;
  }

  /** Null: refused, because the trust bundle to check clients against is not usable. */
  #policyKey({ clients, parameters }: TerminateTls): string | null {
    if (clients.mode === "none") return JSON.stringify([clients, parameters]);
    const trust = this.#context.credentials.trust(clients.trust);
    return trust === undefined ? null : JSON.stringify([clients, trust.generation, parameters]);
  }

  /** The certificate for a name, or null: never another host's (design §4.1). */
  #certificate(serverName: string | null): SecureContext | null {
    const host = this.#hosts.find(serverName ?? "");
    if (host?.tls.mode !== "terminate" || (serverName === null && host.domain !== "*")) return null;
    const { tls } = host;
    const policyKey = this.#policyKey(tls);
    const credential = this.#context.credentials.credential(tls.credential);
    if (policyKey === null || credential === undefined) return null;
    const key = `${credential.name} ${credential.generation} ${policyKey}`;
    let context = this.#certificates.get(key);
    if (context === undefined) {
      context = createSecureContext(this.#contextOptions(tls, credential, policyKey));
      this.#certificates.set(key, context);
    }
    return context;
  }

  /** The context chosen by SNI takes the server's place in OpenSSL, so it carries the trust anchors and session id too. */
  #contextOptions(tls: TerminateTls, credential: Credential, policyKey: string): SecureContextOptions {
    const trust =
      tls.clients.mode === "none" ? undefined : this.#context.credentials.trust(tls.clients.trust);
    return {
      ...contextParameters(tls.parameters),
      cert: credential.certificateChain,
      key: credential.privateKey,
      ...(trust === undefined ? {} : { ca: [...trust.anchors] }),
      sessionIdContext: sessionIdOf(policyKey),
    };
  }

  /** Without SNI only a host for `*` answers: its certificate is the policy's default, else there is none to fail with. */
  #setDefault(policy: Policy): void {
    const host = this.#hosts.find("");
    if (host?.tls.mode !== "terminate" || host.domain !== "*") return;
    const key = this.#policyKey(host.tls);
    const credential = this.#context.credentials.credential(host.tls.credential);
    if (key === null || credential === undefined || this.#policies.get(key) !== policy) return;
    policy.server.setSecureContext({
      ...this.#contextOptions(host.tls, credential, key),
      ticketKeys: policy.ticketKeys,
    });
  }

  #peek(socket: Socket): void {
    let bytes: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => socket.destroy(), this.#context.limits.handshakeTimeoutMs);
    const stop = (): void => {
      clearTimeout(timer);
      socket.off("readable", onReadable);
      socket.off("error", onError);
      socket.off("close", stop);
      socket.off("end", onError);
    };
    const onError = (): void => {
      stop();
      socket.on("error", () => {});
      socket.destroy();
    };
    const refuse = (answer: Buffer | string): void => {
      stop();
      socket.on("error", () => {});
      socket.end(answer);
      setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS).unref();
    };
    const onReadable = (): void => {
      for (
        let chunk = socket.read() as Buffer | null;
        chunk !== null;
        chunk = socket.read() as Buffer | null
      ) {
        bytes = Buffer.concat([bytes, chunk]);
      }
      const peek = peekClientHello(bytes);
      if (peek.kind === "more" && bytes.length < MAX_HELLO_BYTES) return;
      if (peek.kind === "hello") {
        const host = this.#hosts.find(peek.serverName ?? "");
        const reachable = peek.serverName !== null || host?.domain === "*";
        const policy = reachable ? this.#policyOf(host?.tls) : null;
        if (policy === null || this.#certificate(peek.serverName) === null) {
          this.#context.logger.debug(
            { serverName: peek.serverName },
            "handshake refused: no such host, or its TLS is unusable",
          );
          refuse(ALERT_UNRECOGNIZED_NAME);
          return;
        }
        stop();
        socket.unshift(bytes);
        policy.server.emit("connection", socket);
        return;
      }
      refuse(peek.kind === "not-tls" ? PLAINTEXT_ANSWER : ALERT_DECODE_ERROR);
    };
    socket.on("readable", onReadable);
    socket.on("error", onError);
    socket.on("end", onError);
    socket.on("close", stop);
  }
}

interface Policy {
  readonly server: Server;
  readonly ticketKeys: Buffer;
}

function createPolicy(
  { clients, parameters }: TerminateTls,
  sessionIdContext: string,
  context: TerminationContext,
  certificate: (serverName: string) => SecureContext | null,
): Policy {
  const ticketKeys = randomBytes(48);
  const server = createServer({
    ...contextParameters(parameters),
    requestCert: clients.mode !== "none",
    rejectUnauthorized: clients.mode === "required",
    ALPNProtocols: alpnProtocols(parameters),
    handshakeTimeout: context.limits.handshakeTimeoutMs,
    allowHalfOpen: true,
    // Sessions of one policy and trust generation are never resumed under another: the id tells them apart, and so do
    // the ticket keys, random for each.
    sessionIdContext,
    ticketKeys,
    SNICallback: (serverName, done) => {
      const chosen = certificate(serverName.toLowerCase().replace(/\.$/, ""));
      if (chosen === null) done(new Error("no such host, or its TLS is unusable"));
      else done(null, chosen);
    },
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    const refused = !socket.authorized && socket.getPeerX509Certificate() !== undefined;
    if (clients.mode === "optional" && refused) {
      context.logger.info({ reason: String(socket.authorizationError) }, "client certificate refused");
      socket.destroy();
      return;
    }
    context.onSecure(socket, clients);
  });
  server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    context.logger.info(
      { code: error.code ?? error.message, client: socket.remoteAddress },
      "TLS handshake failed",
    );
    // Node ends the socket itself, once OpenSSL has returned: ended from here, its memory would be freed under its feet.
    socket.on("error", () => {});
  });
  return { server, ticketKeys };
}

function sessionIdOf(policyKey: string): string {
  return createHash("sha256").update(policyKey).digest("hex").slice(0, 32);
}

type TerminateTls = Extract<ServerTls, { mode: "terminate" }>;

const REFUSAL_LINGER_MS = 500;
/** A fatal alert record (RFC 8446 §6.2), in the clear as none is agreed on yet. */
const ALERT_UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);
const ALERT_DECODE_ERROR = Buffer.from([21, 3, 3, 0, 2, 2, 50]);
const PLAINTEXT_ANSWER =
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 26\r\nconnection: close\r\n\r\nThis port speaks TLS only\n";
