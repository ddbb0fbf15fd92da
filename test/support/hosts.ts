import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Servers on 127.0.0.1, 127.0.0.2 and so on, all on one port: the hosts of one service. */
export interface Hosts {
  readonly port: number;
  readonly addresses: readonly string[];
  /** Requests that each has seen, by address. */
  readonly seen: Record<string, number>;
  close(): void;
}

/** `answer` is told which address was asked; it answers with that address unless told otherwise. */
export async function startHosts(
  count: number,
  answer: (address: string, response: ServerResponse, request: IncomingMessage) => void = (
    address,
    response,
  ) => {
    response.end(address);
  },
): Promise<Hosts> {
  const addresses = Array.from({ length: count }, (_, index) => `127.0.0.${index + 1}`);
  const seen: Record<string, number> = {};
  for (let turn = 0; ; turn++) {
    const servers = addresses.map((address) => {
      const listener: RequestListener = (request, response) => {
        seen[address] = (seen[address] ?? 0) + 1;
        answer(address, response, request);
      };
      return { address, server: createServer(listener) };
    });
    const close = (): void => {
      for (const { server } of servers) {
        server.close();
        server.closeAllConnections();
      }
    };
    try {
      let port = 0;
      for (const { address, server } of servers) {
        await new Promise<void>((resolve, reject) => {
          server.once("error", reject);
          server.listen(port, address, resolve);
        });
        port = (server.address() as AddressInfo).port;
      }
      return { port, addresses, seen, close };
    } catch (error) {
      // The port that was free on the first address need not be free on the others.
      close();
      if (turn === 10) throw error;
    }
  }
}
