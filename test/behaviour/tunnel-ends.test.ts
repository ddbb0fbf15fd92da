import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTls, type Server as TlsServer } from "node:tls";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { startGateway } from "../support/gateway.ts";
import { tcpMappingYaml } from "../support/tcp.ts";
import { until } from "../support/until.ts";
import { describe, it } from "./engines.ts";

// Who ends a TLS connection to an upstream in due form says so (close_notify, RFC 8446 §6.1), and who cuts it does not: without
// that the upstream could not tell the whole from a part of it.

interface Upstream {
  readonly port: number;
  /** The types of the TLS records that came with each connection (RFC 8446 §5.1), and whether it is over. */
  readonly connections: { readonly types: number[]; isOver: boolean }[];
  close(): void;
}

const ALERT = 21;

/** Ends when it reads `bye`. TLS 1.2 shows the types of its records. */
async function startUpstream(): Promise<Upstream> {
  const { server } = await certificates();
  const tls: TlsServer = createTls(
    { cert: server.certificate, key: server.privateKey, maxVersion: "TLSv1.2" },
    (socket) => {
      socket.on("error", () => {});
      socket.on("data", (piece) => {
        const text = piece.toString("latin1");
        if (text.startsWith("GET "))
          socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
        else if (text.includes("bye")) socket.end("bye");
        else socket.write(piece);
      });
    },
  );
  const connections: Upstream["connections"] = [];
  const sockets: Socket[] = [];
  const front: Server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    const connection = { types: [] as number[], isOver: false };
    connections.push(connection);
    let bytes = Buffer.alloc(0);
    socket.on("error", () => {});
    for (const event of ["end", "close"])
      socket.on(event, () => {
        connection.isOver = true;
      });
    socket.on("data", (piece: Buffer) => {
      bytes = Buffer.concat([bytes, piece]);
      for (let length = 0; bytes.length >= 5; bytes = bytes.subarray(length)) {
        length = 5 + bytes.readUInt16BE(3);
        if (bytes.length < length) break;
        connection.types.push(bytes[0] as number);
      }
    });
    const { port } = tls.address() as AddressInfo;
    const behind = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    behind.on("error", () => {});
    socket.pipe(behind).pipe(socket);
    sockets.push(socket, behind);
  });
  await once(tls.listen(0, "127.0.0.1"), "listening");
  await once(front.listen(0, "127.0.0.1"), "listening");
  return {
    port: (front.address() as AddressInfo).port,
    connections,
    close() {
      for (const each of sockets) each.destroy();
      front.close();
      tls.close();
    },
  };
}

describe("a tunnel over TLS", () => {
  for (const kind of ["an upgrade", "a TCPMapping"])
    for (const [who, act, isOrderly] of [
      ["its client ends", (client: Socket) => client.end(), true],
      ["its upstream ends", (client: Socket) => client.write("bye"), true],
      ["its client is cut", (client: Socket) => client.resetAndDestroy(), false],
    ] as const)
      it(`${kind}: ${who}`, async (skip) => {
        const upstream = await startUpstream();
        const { ca } = await certificates();
        const port = await freePort();
        const gateway = await startGateway({
          "a.yaml":
            secretYaml("ca", { ca: ca.certificate }) +
            tlsContextYaml("up", { hosts: [], ca_secret: "ca" }) +
            mappingYaml("m", {
              ...{ prefix: "/", service: `https://localhost:${upstream.port}`, tls: "up" },
              allow_upgrade: ["echo"],
            }) +
            tcpMappingYaml("t", { port, service: `localhost:${upstream.port}`, tls: "up" }),
        });
        let client: Socket | undefined;
        try {
          client = connect(kind === "an upgrade" ? gateway.httpPort : port, "127.0.0.1");
          let received = "";
          client.on("error", () => {});
          client.setEncoding("latin1").on("data", (piece: string) => {
            received += piece;
          });
          if (kind === "an upgrade") {
            client.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
            await until(() => received.includes("\r\n\r\n"));
          }
          client.write("hello");
          await until(() => received.endsWith("hello"));
          act(client);
          const [connection] = upstream.connections;
          await until(() => connection?.isOver === true, 10_000);
          assert.equal(
            connection?.types.at(-1) === ALERT,
            skip === null ? isOrderly : true,
            `${connection?.types}`,
          );
        } finally {
          client?.destroy();
          await gateway.stop();
          upstream.close();
        }
      });
});
