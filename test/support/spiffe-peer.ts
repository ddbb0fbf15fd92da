import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import type { IssuedCertificate } from "../../src/x509/authority.ts";

/** What a peer saw of its client. */
export interface SeenClient {
  readonly id: string | null;
  readonly sni: string | null;
  readonly alpn: string | null;
}

/** An HTTPS server as meshes have them: it asks for a certificate of these CAs, and answers with the ID that it has. */
export async function startSpiffePeer(
  { certificate, privateKey }: IssuedCertificate,
  clientCas: readonly string[],
  alpn: readonly string[] = ["http/1.1"],
): Promise<{
  readonly port: number;
  readonly seen: SeenClient[];
  connections(): number;
  close(): Promise<void>;
}> {
  const seen: SeenClient[] = [];
  const server = createServer(
    { cert: certificate, key: privateKey, ca: [...clientCas], requestCert: true, ALPNProtocols: [...alpn] },
    ({ socket }, response) => {
      const { alpnProtocol, servername, getPeerX509Certificate } = socket as TLSSocket & {
        servername?: string;
      };
      const id = getPeerX509Certificate.call(socket)?.subjectAltName?.replace("URI:", "") ?? null;
      seen.push({ id, sni: servername || null, alpn: alpnProtocol || null });
      response.end(id ?? "nobody");
    },
  );
  let connections = 0;
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    /** Accepted so far, whatever became of their handshakes. */
    connections: () => connections,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
