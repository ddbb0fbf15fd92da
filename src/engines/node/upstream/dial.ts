import { X509Certificate } from "node:crypto";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type PeerCertificate, TLSSocket } from "node:tls";
import type { Endpoint } from "../../../endpoints/endpoint.ts";
import type { UpstreamTls } from "../../../model/tls.ts";
import { alpnProtocols } from "../tls/parameters.ts";
import { classify, type Phase, type UpstreamFailure } from "./classify.ts";
import type { ConnectionFacts } from "./connection.ts";
import type { Generation } from "./generation.ts";

/** Called once, unless the dial is abandoned before. */
export interface Dialler {
  onDialled(socket: Socket, facts: ConnectionFacts): void;
  onDialFailed(failure: UpstreamFailure, dial: Dial): void;
}

/** The making of one connection: TCP and, where the cluster says so, TLS. */
export class Dial {
  readonly address: string;
  /** `connecting` at a failure tells that nothing but the address was at fault. */
  phase: Phase = "connecting";
  readonly #tls: UpstreamTls;
  readonly #generation: Generation;
  readonly #dialler: Dialler;
  #socket: Socket | null = null;
  #verified: string | null = null;
  #over = false;

  constructor(endpoint: Endpoint, tls: UpstreamTls, generation: Generation, dialler: Dialler) {
    this.address =
      isIP(endpoint.address) === 6
        ? `[${endpoint.address}]:${endpoint.port}`
        : `${endpoint.address}:${endpoint.port}`;
    this.#tls = tls;
    this.#generation = generation;
    this.#dialler = dialler;
    try {
      this.#connect(endpoint);
    } catch (error) {
      process.nextTick(() => this.#fail(classify(error as Error, "connecting")));
    }
  }

  abandon(): void {
    this.#over = true;
    this.#socket?.destroy();
  }

  #connect(endpoint: Endpoint): void {
    const target = { host: endpoint.address, port: endpoint.port, autoSelectFamily: false } as const;
    const socket =
      this.#tls.mode === "cleartext"
        ? connectTcp(target)
        : connectTls({ ...target, ...this.#tlsOptions(this.#tls) });
    this.#socket = socket;
    // These two stay for good: what a destroyed socket still has to say must not end the process.
    socket.on("error", (error: Error) => this.#fail(classify(error, this.phase)));
    socket.on("close", () => this.#fail(CLOSED));
    socket.once("connect", () => {
      this.phase = "handshaking";
      socket.setNoDelay(true);
      if (this.#tls.mode === "cleartext") this.#succeed(socket);
    });
    if (socket instanceof TLSSocket) {
      // Comes only after the peer is verified.
      socket.on("session", (session: Buffer) => this.#generation.keepSession(this.address, session));
      socket.once("secureConnect", () => this.#onSecure(socket));
    }
  }

  #tlsOptions(tls: Extract<UpstreamTls, { mode: "originate" }>): ConnectionOptions {
    const { secureContext } = this.#generation;
    if (secureContext === null) throw new Error("a TLS cluster without a TLS context");
    const session = this.#generation.takeSession(this.address);
    return {
      secureContext,
      ...(tls.sni === undefined ? {} : { servername: tls.sni }),
      ...(session === undefined ? {} : { session }),
      ALPNProtocols: alpnProtocols(tls.parameters),
      rejectUnauthorized: tls.verification.mode !== "none",
      checkServerIdentity: (_host: string, peer: PeerCertificate) =>
        this.#identify(new X509Certificate(peer.raw)),
    };
  }

  #identify(peer: X509Certificate): Error | undefined {
    const identity = this.#generation.identify(peer);
    if (identity instanceof Error) return identity;
    this.#verified = identity;
    return undefined;
  }

  #onSecure(socket: TLSSocket): void {
    if (socket.alpnProtocol === "h2") {
      this.#fail({
        reason: "upstream_tls_handshake_failed",
        cause: "the peer chose h2, which is not spoken here",
      });
      return;
    }
    const problem = this.#resumedProblem(socket);
    if (problem === null) this.#succeed(socket);
    else this.#fail(problem);
  }

  /** With a resumed session neither OpenSSL nor Node looks at the peer's certificate again. */
  #resumedProblem(socket: TLSSocket): UpstreamFailure | null {
    if (this.#tls.mode === "cleartext" || this.#tls.verification.mode === "none") return null;
    if (!socket.isSessionReused()) return null;
    const peer = socket.getPeerX509Certificate();
    if (peer === undefined || !socket.authorized) {
      return { reason: "upstream_certificate_untrusted", cause: "resumed without a verified certificate" };
    }
    if (peer.validToDate.getTime() < Date.now()) {
      return { reason: "upstream_certificate_expired", cause: "CERT_HAS_EXPIRED since the session began" };
    }
    const mismatch = this.#identify(peer);
    return mismatch === undefined ? null : classify(mismatch, "handshaking");
  }

  #succeed(socket: Socket): void {
    if (this.#over) return;
    this.#over = true;
    this.phase = "open";
    const secure = socket instanceof TLSSocket ? socket : null;
    this.#dialler.onDialled(socket, {
      address: this.address,
      tlsVersion: secure === null ? null : secure.getProtocol(),
      tlsCipher: secure === null ? null : secure.getCipher().name,
      identityPresented: this.#generation.identity,
      identityVerified: this.#verified,
    });
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#over) return;
    this.abandon();
    this.#dialler.onDialFailed(failure, this);
  }
}

const CLOSED: UpstreamFailure = { reason: "upstream_connect_failed", cause: "closed before it was ready" };
