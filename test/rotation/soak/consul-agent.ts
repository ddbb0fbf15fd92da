import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Offer } from "./sources.ts";

export interface ConsulAgent {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  say(offer: Offer): void;
  close(): Promise<void>;
}

/**
 * The two blocking queries of Consul's agent that Connect is made of, for certificates that the real one would not issue
 * at this pace. What the real one answers is in test/behaviour.
 */
export async function startConsulAgent(service: string): Promise<ConsulAgent> {
  let held: { readonly offer: Offer; readonly index: number } | null = null;
  const waiting = new Set<() => void>();
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://agent");
    const known = Number(searchParams.get("index") ?? 0);
    if (held === null || held.index <= known) {
      const again = (): void => answer(request, response);
      waiting.add(again);
      response.on("close", () => waiting.delete(again));
      return;
    }
    const { identity, anchors } = held.offer;
    const body =
      pathname === "/v1/agent/connect/ca/roots"
        ? { Roots: anchors.map((pem) => ({ RootCert: pem })) }
        : pathname === `/v1/agent/connect/ca/leaf/${service}`
          ? { CertPEM: identity.certificate, PrivateKeyPEM: identity.privateKey }
          : null;
    response
      .writeHead(body === null ? 404 : 200, {
        "content-type": "application/json",
        "x-consul-index": String(held.index),
      })
      .end(JSON.stringify(body));
  };
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    say(offer) {
      held = { offer, index: (held?.index ?? 0) + 1 };
      const asked = [...waiting];
      waiting.clear();
      for (const again of asked) again();
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
