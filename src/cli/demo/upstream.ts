import { createServer } from "node:https";
import type { TLSSocket } from "node:tls";

/** An upstream that requires a client certificate and answers with the identity it saw. */
export async function startIdentityUpstream(
  credential: { certificate: string; privateKey: string; clientCa: string },
  port: number,
): Promise<{ port: number; close: () => void }> {
  const server = createServer(
    {
      cert: credential.certificate,
      key: credential.privateKey,
      ca: credential.clientCa,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      const socket = request.socket as TLSSocket;
      const peer = socket.getPeerX509Certificate();
      const seen = {
        path: request.url,
        client: {
          subject: peer?.subject ?? null,
          sans: peer?.subjectAltName ?? null,
          issuer: peer?.issuer ?? null,
          serial: peer?.serialNumber.toLowerCase() ?? null,
        },
        tls: {
          version: socket.getProtocol(),
          cipher: socket.getCipher().name,
          resumed: socket.isSessionReused(),
        },
      };
      response.setHeader("content-type", "application/json");
      response.end(`${JSON.stringify(seen, null, 2)}\n`);
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as { port: number }).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
