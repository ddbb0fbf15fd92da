import { connect as connectTcp, isIP, type Socket } from "node:net";
import {
  type ConnectionOptions,
  connect as connectTls,
  type PeerCertificate,
  type TLSSocket,
} from "node:tls";
import type { Endpoint } from "../../../endpoints/endpoint.ts";
import type { UpstreamTls } from "../../../model/tls.ts";
import { alpnProtocols } from "../tls/parameters.ts";
import { classify, type UpstreamFailure } from "./classify.ts";
import type { ConnectionFacts } from "./connection.ts";
import type { Generation } from "./generation.ts";

export interface Dialled {
  readonly socket: Socket;
  readonly facts: ConnectionFacts;
}

/**
 * Makes one connection, TCP and (where the cluster says so) TLS, and calls back once. Returns the function that gives
 * up. `tcpFailed` tells that nothing but the address was at fault, so another address may be tried.
 */
export function dial(
  endpoint: Endpoint,
  tls: UpstreamTls,
  generation: Generation,
  done: (failure: (UpstreamFailure & { tcpFailed: boolean }) | null, dialled: Dialled | null) => void,
): () => void {
  const address =
    isIP(endpoint.address) === 6
      ? `[${endpoint.address}]:${endpoint.port}`
      : `${endpoint.address}:${endpoint.port}`;
  const target = {
    host: endpoint.address,
    port: endpoint.port,
    noDelay: true,
    autoSelectFamily: false,
  } as const;
  const socket: Socket | TLSSocket =
    tls.mode === "cleartext"
      ? connectTcp(target)
      : connectTls({ ...target, ...tlsOptions(tls, generation, address) });
  let connected = false;
  let settled = false;

  const settle = (failure: UpstreamFailure | null): void => {
    if (settled) return;
    settled = true;
    socket.off("close", onClose);
    if (failure === null) {
      socket.off("error", onError);
      done(null, { socket, facts: factsOf(socket, address, tls, generation) });
      return;
    }
    // The error listener stays: what a destroyed socket still has to say must not end the process.
    socket.destroy();
    done({ ...failure, tcpFailed: !connected }, null);
  };
  const onError = (error: Error): void => settle(classify(error, connected));
  const onClose = (): void =>
    settle({
      reason: "upstream_tls_handshake_failed",
      cause: "closed by the upstream during the TLS handshake",
    });

  socket.on("error", onError);
  socket.once("close", onClose);
  socket.once("connect", () => {
    connected = true;
    if (tls.mode === "cleartext") settle(null);
  });
  if (tls.mode !== "cleartext") {
    const secure = socket as TLSSocket;
    secure.on("session", (session: Buffer) => generation.keepSession(address, session));
    secure.once("secureConnect", () =>
      settle(
        secure.alpnProtocol === "h2"
          ? { reason: "upstream_tls_handshake_failed", cause: "the peer chose h2" }
          : null,
      ),
    );
  }
  return () =>
    settle({
      reason: "upstream_connect_timeout",
      cause: connected ? "during the TLS handshake" : "no TCP connection",
    });
}

function tlsOptions(
  tls: Extract<UpstreamTls, { mode: "originate" }>,
  generation: Generation,
  address: string,
): ConnectionOptions {
  const session = generation.takeSession(address);
  return {
    ...(generation.secureContext === null ? {} : { secureContext: generation.secureContext }),
    ...(tls.sni === undefined ? {} : { servername: tls.sni }),
    ...(session === undefined ? {} : { session }),
    ALPNProtocols: alpnProtocols(tls.parameters),
    rejectUnauthorized: tls.verification.mode !== "none",
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => generation.checkPeer(certificate),
  };
}

function factsOf(
  socket: Socket | TLSSocket,
  address: string,
  tls: UpstreamTls,
  generation: Generation,
): ConnectionFacts {
  if (tls.mode === "cleartext" || !("getProtocol" in socket)) {
    return { address, tlsVersion: null, tlsCipher: null, identityPresented: null, identityVerified: null };
  }
  return {
    address,
    tlsVersion: socket.getProtocol(),
    tlsCipher: socket.getCipher().name,
    identityPresented: generation.identity,
    identityVerified: tls.verification.mode === "none" ? null : tls.verification.name,
  };
}
