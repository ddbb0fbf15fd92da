import type { TLSSocket } from "node:tls";
import type { Clock } from "../../../telemetry/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";

/**
 * TLS checks a certificate once, when the connection is made. Streams last for months and carry keys, so the connection ends
 * with what let it in: at the certificate's end, and when those who vouch for certificates are others than before. Whoever may still come in does so
 * at once, is checked anew, and is sent nothing that it has.
 */
export class AdmittedConnections {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #sockets = new Map<TLSSocket, () => void>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** After its handshake, with a certificate that was verified: until then, what vouches for it included. */
  add(socket: TLSSocket, notAfter: number): void {
    const { subject } = socket.getPeerCertificate();
    let cancel: () => void = () => undefined;
    const wait = (): void => {
      const left = notAfter - this.#clock.now();
      if (left > 0) {
        // Timers do not follow a wall clock that is set.
        cancel = this.#clock.after(Math.min(left, LONGEST_WAIT_MS), wait);
        return;
      }
      this.#logger.warn(
        {
          subject: subject?.CN,
          address: socket.remoteAddress,
          notAfter: new Date(notAfter).toISOString(),
        },
        "an xDS connection is closed: its certificate has expired",
      );
      socket.destroy();
    };
    this.#sockets.set(socket, () => cancel());
    socket.once("close", () => {
      cancel();
      this.#sockets.delete(socket);
    });
    wait();
  }

  /** Who was let in by another CA has to be let in again. */
  closeAll(): void {
    if (this.#sockets.size > 0)
      this.#logger.info(
        { connections: this.#sockets.size },
        "the CA of xDS clients is another: their connections are made anew",
      );
    for (const socket of [...this.#sockets.keys()]) socket.destroy();
  }
}

const LONGEST_WAIT_MS = 60_000;
