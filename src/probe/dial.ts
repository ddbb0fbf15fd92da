import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type TLSSocket } from "node:tls";
import type { Endpoint } from "../endpoints/endpoint.ts";
import { contextOptions, type Offer } from "./offer.ts";
import { Recorder } from "./recorder.ts";
import type { Transcript } from "./wire/transcript.ts";

export interface DialSettings {
  /** For TCP and TLS together, as of a cluster. */
  readonly timeoutMs: number;
  /** For how long a peer may say after the handshake that it refuses our certificate (TLS 1.3). 0: it is not waited for. */
  readonly settleMs: number;
  /** To be resumed. */
  readonly session?: Buffer;
  /**
   * Asked once the handshake is done: what to send then, or null. Only who has verified the peer may answer with bytes.
   */
  readonly request?: (transcript: Transcript) => Buffer | null;
}

/** How far a connection came, and what was said on it. */
export interface DialOutcome {
  readonly endpoint: Endpoint;
  /** Where it stood when it ended: `open` means that the handshake was done. */
  readonly stage: "connecting" | "handshaking" | "open";
  /** Null: nobody objected. */
  readonly error: DialError | null;
  readonly ended: "closed" | "reset" | "timeout" | null;
  readonly transcript: Transcript;
  /** Null: the handshake was not done. */
  readonly negotiated: Negotiated | null;
  /** What the peer said after the handshake, if it was asked to. */
  readonly response: string | null;
  /** TLS 1.3 gives it after the handshake, and only to who was accepted. */
  readonly session: Buffer | null;
  readonly connectedMs: number | null;
  readonly handshakeMs: number | null;
  /** How long it might have taken. */
  readonly timeoutMs: number;
}

export interface Negotiated {
  readonly protocol: string;
  readonly cipher: string;
  readonly alpn: string | null;
  readonly resumed: boolean;
  /** OpenSSL's own verdict on the chain; null: it is content. */
  readonly opensslVerdict: string | null;
}

export interface DialError {
  readonly code: string;
  readonly message: string;
  readonly syscall: string | null;
}

/**
 * Makes one connection and one handshake, and lets go of it.
 *
 * OpenSSL is told not to refuse the peer, on this connection alone, so that what it presents can be seen and judged
 * (judge.ts). Nothing but the handshake is ever sent to a peer that was not found good: no request, no credential beside
 * the certificate that the handshake itself shows, which is no secret.
 */
export function dial(endpoint: Endpoint, offer: Offer, settings: DialSettings): Promise<DialOutcome> {
  return new Promise((resolve) => new Connection(endpoint, offer, settings, resolve));
}

class Connection {
  readonly #endpoint: Endpoint;
  readonly #offer: Offer;
  readonly #settings: DialSettings;
  readonly #resolve: (outcome: DialOutcome) => void;
  readonly #recorder: Recorder;
  readonly #tcp: Socket;
  readonly #began = performance.now();
  #timer: NodeJS.Timeout;
  #tls: TLSSocket | null = null;
  #stage: DialOutcome["stage"] = "connecting";
  #timedOut = false;
  #error: DialError | null = null;
  #negotiated: Negotiated | null = null;
  #session: Buffer | null = null;
  #response: Buffer | null = null;
  #asked = false;
  #connectedMs: number | null = null;
  #handshakeMs: number | null = null;
  #over = false;

  constructor(
    endpoint: Endpoint,
    offer: Offer,
    settings: DialSettings,
    resolve: (outcome: DialOutcome) => void,
  ) {
    this.#endpoint = endpoint;
    this.#offer = offer;
    this.#settings = settings;
    this.#resolve = resolve;
    this.#tcp = connectTcp({ host: endpoint.address, port: endpoint.port, autoSelectFamily: false });
    this.#recorder = new Recorder(this.#tcp);
    this.#recorder.on("error", (error) => this.#onError(error));
    this.#tcp.once("connect", () => this.#onConnect());
    this.#timer = setTimeout(() => this.#onTimeout(), settings.timeoutMs);
  }

  #onConnect(): void {
    this.#stage = "handshaking";
    this.#connectedMs = performance.now() - this.#began;
    this.#tcp.setNoDelay(true);
    const { session } = this.#settings;
    const { serverName, alpn, asksStaple, preface } = this.#offer;
    // Straight to the socket: it is no part of what TLS said.
    if (preface !== undefined) this.#tcp.write(preface);
    try {
      const tls = connectTls({
        socket: this.#recorder,
        secureContext: createSecureContext(contextOptions(this.#offer)),
        ...(serverName === null ? {} : { servername: serverName }),
        ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
        ...(session === undefined ? {} : { session }),
        ...(asksStaple === undefined ? {} : { requestOCSP: true }),
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      this.#tls = tls;
      tls.on("keylog", (line: Buffer) => this.#recorder.keepSecret(line));
      tls.on("error", (error) => this.#onError(error));
      tls.on("close", () => this.#end());
      tls.on("end", () => this.#end());
      tls.on("session", (ticket: Buffer) => this.#onSession(ticket));
      tls.once("secureConnect", () => this.#onSecure(tls));
    } catch (error) {
      // OpenSSL does not take the offer. Its words name the setting, never the key.
      this.#onError(error as Error);
    }
  }

  #onSecure(tls: TLSSocket): void {
    this.#stage = "open";
    this.#handshakeMs = performance.now() - this.#began - (this.#connectedMs ?? 0);
    // Asked of a socket whose handshake failed, some of these end the process (Node 26.10).
    this.#negotiated = {
      protocol: (tls.getProtocol() ?? "").replace(/^TLSv1$/, "TLSv1.0").replace("TLSv", "TLS "),
      cipher: tls.getCipher().name,
      alpn: tls.alpnProtocol === false ? null : tls.alpnProtocol,
      resumed: tls.isSessionReused(),
      opensslVerdict: tls.authorized ? null : String(tls.authorizationError),
    };
    clearTimeout(this.#timer);
    if (this.#settings.settleMs === 0) {
      this.#end();
      return;
    }
    const request = this.#settings.request?.(this.#recorder.transcript()) ?? null;
    this.#timer = setTimeout(() => this.#end(), this.#settings.settleMs);
    tls.on("data", (piece: Buffer) => {
      this.#response ??= Buffer.from(piece.subarray(0, 1024));
      this.#end();
    });
    if (request !== null) {
      this.#asked = true;
      tls.write(request);
    } else if (this.#session !== null) this.#end();
  }

  #onSession(ticket: Buffer): void {
    this.#session ??= ticket;
    if (this.#stage === "open" && !this.#asked && this.#settings.settleMs > 0) this.#end();
  }

  #onTimeout(): void {
    this.#timedOut = true;
    this.#end();
  }

  #onError(error: NodeJS.ErrnoException): void {
    this.#error ??= {
      code: error.code ?? "",
      message: error.message,
      syscall: error.syscall ?? null,
    };
    this.#end();
  }

  /** Once. A turn later, as an alert and the end that follows it come in one. */
  #end(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    setImmediate(() => {
      const outcome: DialOutcome = {
        endpoint: this.#endpoint,
        stage: this.#stage,
        error: this.#error,
        ended: this.#timedOut ? "timeout" : this.#recorder.ended,
        transcript: this.#recorder.transcript(),
        negotiated: this.#negotiated,
        response: this.#response?.toString("latin1") ?? null,
        session: this.#session,
        connectedMs: this.#connectedMs,
        handshakeMs: this.#handshakeMs,
        timeoutMs: this.#settings.timeoutMs,
      };
      this.#tls?.destroy();
      this.#recorder.destroy();
      this.#resolve(outcome);
    });
  }
}
