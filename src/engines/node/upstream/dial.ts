import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, TLSSocket } from "node:tls";
import type { Endpoint } from "../../../endpoints/endpoint.ts";
import { addressText } from "../../../model/address.ts";
import type { Cluster, Keepalive } from "../../../model/cluster.ts";
import type { UpstreamTls } from "../../../model/tls.ts";
import { alpnProtocols } from "../../../model/openssl.ts";
import { presentedChain } from "../../../x509/presented-chain.ts";
import { classify, PeerFault, type Phase, type UpstreamFailure } from "./classify.ts";
import type { ConnectionFacts } from "./connection.ts";
import type { Generation, Session, VerifiedPeer } from "./generation.ts";
import { Incoming } from "./incoming.ts";

/** Called once, unless the dial is abandoned before. */
export interface Dialler {
  onDialled(socket: Socket, incoming: Incoming, facts: ConnectionFacts): void;
  onDialFailed(failure: UpstreamFailure, dial: Dial): void;
}

/** The making of one connection: TCP and, where the cluster says so, TLS. */
export class Dial {
  readonly address: string;
  /** `connecting` at a failure tells that nothing but the address was at fault. */
  phase: Phase = "connecting";
  readonly #tls: UpstreamTls;
  readonly #keepalive: Keepalive | undefined;
  readonly #generation: Generation;
  readonly #dialler: Dialler;
  readonly #incoming = new Incoming();
  #socket: Socket | null = null;
  /** Our own verdict on the peer of a full handshake, or that of the session that is resumed; null before. */
  #peer: VerifiedPeer | PeerFault | null = null;
  #session: Session | undefined;
  #over = false;

  constructor(
    endpoint: Endpoint,
    { tls, keepalive }: Pick<Cluster, "tls" | "keepalive">,
    generation: Generation,
    dialler: Dialler,
  ) {
    this.address = addressText(endpoint.address, endpoint.port);
    this.#tls = tls;
    this.#keepalive = keepalive;
    this.#generation = generation;
    this.#dialler = dialler;
    try {
      this.#connect(endpoint);
    } catch (error) {
      process.nextTick(() => this.#fail(classify(error as Error, "connecting", false)));
    }
  }

  abandon(): void {
    this.#over = true;
    this.#socket?.destroy();
  }

  #connect(endpoint: Endpoint): void {
    const { onread } = this.#incoming;
    const target = { host: endpoint.address, port: endpoint.port, autoSelectFamily: false, onread } as const;
    const socket =
      this.#tls.mode === "cleartext"
        ? connectTcp(target)
        : connectTls({ ...target, ...this.#tlsOptions(this.#tls) });
    this.#socket = socket;
    // These two stay for good: what a destroyed socket still has to say must not end the process.
    socket.on("error", (error: Error) => this.#onError(error));
    socket.on("close", () => this.#fail(CLOSED));
    socket.once("connect", () => {
      this.phase = "handshaking";
      socket.setNoDelay(true);
      if (this.#keepalive !== undefined) keepAlive(socket, this.#keepalive);
      if (this.#tls.mode === "cleartext") this.#succeed(socket, null);
    });
    if (socket instanceof TLSSocket) {
      // Node holds it back until the peer is verified.
      socket.on("session", (ticket: Buffer) => {
        if (this.phase !== "open" || this.#peer instanceof PeerFault) return;
        this.#generation.keepSession(this.address, { ticket, peer: this.#peer });
      });
      // The handshake is done, and Node looks at OpenSSL's verdict next: where that is a refusal the chain is gone afterwards.
      socket.prependOnceListener("secure", () => this.#lookAt(socket));
      socket.once("secureConnect", () => this.#onSecure(socket));
    }
  }

  #tlsOptions(tls: Extract<UpstreamTls, { mode: "originate" }>): ConnectionOptions {
    const { secureContext } = this.#generation;
    if (secureContext === null) throw new Error("a TLS cluster without a TLS context");
    this.#session = this.#generation.takeSession(this.address);
    return {
      secureContext,
      ...(tls.sni === undefined ? {} : { servername: tls.sni }),
      ...(this.#session === undefined ? {} : { session: this.#session.ticket }),
      ALPNProtocols: alpnProtocols(tls.parameters),
      rejectUnauthorized: tls.verification.mode !== "none",
      // Asked once OpenSSL has nothing against the chain.
      checkServerIdentity: () => (this.#peer instanceof PeerFault ? this.#peer : undefined),
    };
  }

  /** Whatever OpenSSL says: a refusal of its own is told in our words, which are finer. It is refused all the same. */
  #onError(error: Error): void {
    const cause = this.#peer instanceof PeerFault ? this.#peer : error;
    this.#fail(classify(cause, this.phase, this.#generation.identity !== null));
  }

  #lookAt(socket: TLSSocket): void {
    if (this.#generation.verifies && !socket.isSessionReused())
      this.#peer = this.#generation.verify(presentedChain(socket));
  }

  #onSecure(socket: TLSSocket): void {
    if (socket.alpnProtocol === "h2") {
      this.#fail({
        reason: "upstream_tls_handshake_failed",
        cause: "the peer chose h2, which is not spoken here",
        handshake: "alpn_mismatch",
      });
      return;
    }
    const resumed = socket.isSessionReused() ? this.#session : undefined;
    // Then there is no certificate to look at.
    if (resumed !== undefined) this.#peer = resumed.peer;
    const peer = this.#peer;
    if (peer instanceof PeerFault || (this.#generation.verifies && (peer === null || !socket.authorized)))
      this.#fail(UNVERIFIED);
    else {
      // Up to TLS 1.2 a session serves again and again, and the peer need not send another.
      if (resumed !== undefined && socket.getProtocol() !== "TLSv1.3") {
        this.#generation.keepSession(this.address, resumed);
      }
      this.#succeed(socket, peer);
    }
  }

  #succeed(socket: Socket, peer: VerifiedPeer | null): void {
    if (this.#over) return;
    this.#over = true;
    this.phase = "open";
    const secure = socket instanceof TLSSocket ? socket : null;
    this.#dialler.onDialled(socket, this.#incoming, {
      address: this.address,
      tlsVersion: secure === null ? null : secure.getProtocol(),
      tlsCipher: secure === null ? null : secure.getCipher().name,
      identityPresented: this.#generation.identity,
      identityVerified: peer?.name ?? null,
      peerNotAfter: peer?.notAfter ?? Number.POSITIVE_INFINITY,
      peer,
    });
  }

  #fail(failure: UpstreamFailure): void {
    if (this.#over) return;
    this.abandon();
    this.#dialler.onDialFailed(failure, this);
  }
}

/** Absent parts are Linux's. Node before 26.4 heeds the first one only. */
function keepAlive(
  socket: Socket,
  { idleSeconds = 7200, intervalSeconds = 75, probes = 9 }: Keepalive,
): void {
  socket.setKeepAlive(true, idleSeconds * 1000, intervalSeconds * 1000, probes);
}

const CLOSED: UpstreamFailure = { reason: "upstream_connect_failed", cause: "closed before it was ready" };
/** Node has refused such a peer before; should it ever not, nothing is sent to it. */
const UNVERIFIED: UpstreamFailure = {
  reason: "upstream_certificate_untrusted",
  cause: "not verified",
  handshake: "handshake_failed",
};
