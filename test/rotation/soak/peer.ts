import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { X509Certificate } from "node:crypto";
import type { IssuedCertificate } from "../../../src/x509/authority.ts";

/** A connection that is open, as the peer sees it. */
interface Open {
  /** When its handshake ended, by performance.now(). */
  readonly since: number;
  /** Of the client's certificate, lower-case hex. */
  readonly serial: string;
}

/** An upstream that insists on a client certificate and knows which one is on each connection, and since when. */
export class Peer {
  readonly #server: Server;
  readonly #open = new Map<TLSSocket, Open>();

  private constructor(server: Server) {
    this.#server = server;
    // Each connection shows who it is of: what is resumed would say what the first one said.
    server.on("secureConnection", (socket: TLSSocket) => {
      const serial = socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "";
      this.#open.set(socket, { since: performance.now(), serial });
      socket.on("close", () => this.#open.delete(socket));
    });
  }

  static async start(identity: IssuedCertificate, clientAnchors: readonly string[]): Promise<Peer> {
    const server = createServer(
      { ...shown(identity, clientAnchors), requestCert: true, rejectUnauthorized: true },
      (_request, response) => void response.end("ok"),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new Peer(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** For handshakes from now on. */
  present(identity: IssuedCertificate, clientAnchors: readonly string[]): void {
    this.#server.setSecureContext(shown(identity, clientAnchors));
  }

  /** There are connections, and each was made after `moment` with the certificate of `serial`. */
  isSpokenToOnlyBy(serial: string, moment: number): boolean {
    const open = [...this.#open.values()];
    return open.length > 0 && open.every((each) => each.serial === serial && each.since >= moment);
  }

  /** For the message of a test that fails. */
  describe(): string {
    const now = performance.now();
    return [...this.#open.values()]
      .map(({ since, serial }) => `${serial.slice(0, 8)} since ${Math.round(now - since)} ms`)
      .join(", ");
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

export const serialOf = ({ certificate }: IssuedCertificate): string =>
  new X509Certificate(certificate).serialNumber.toLowerCase();

function shown(identity: IssuedCertificate, clientAnchors: readonly string[]) {
  return { cert: identity.certificate, key: identity.privateKey, ca: clientAnchors.join("") };
}
