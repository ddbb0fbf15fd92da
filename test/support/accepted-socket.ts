import { once } from "node:events";
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from "node:net";
import type { TestContext } from "node:test";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { certificates } from "./certificates.ts";

/** A socket that a server has accepted, and the one at its other end; both go with the test. */
export async function acceptedSocket(
  context: TestContext,
  kind: "TLS" | "TCP",
): Promise<{ accepted: Socket; client: Socket }> {
  const { ca, server: identity } = await certificates();
  const server =
    kind === "TLS"
      ? createTlsServer({ cert: identity.certificate, key: identity.privateKey })
      : createTcpServer();
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const accepting = once(server, kind === "TLS" ? "secureConnection" : "connection") as Promise<[Socket]>;
  const client =
    kind === "TLS"
      ? connectTls({ host: "127.0.0.1", port, ca: ca.certificate, servername: "localhost" })
      : connectTcp({ host: "127.0.0.1", port });
  context.after(() => client.destroy());
  const [accepted] = await accepting;
  context.after(() => accepted.destroy());
  return { accepted, client };
}
