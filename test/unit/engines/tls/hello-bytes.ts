import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";

/** The ClientHello that Node's own client sends. */
export async function helloBytes(options: ConnectionOptions): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: "127.0.0.1", ...options });
  client.on("error", () => undefined);
  try {
    return await new Promise<Buffer>((resolve) => {
      server.on("connection", (socket) => {
        const pieces: Buffer[] = [];
        socket.on("data", (piece: Buffer) => {
          pieces.push(piece);
          const bytes = Buffer.concat(pieces);
          if (bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt16BE(3)) resolve(bytes);
        });
        socket.on("error", () => undefined);
      });
    });
  } finally {
    client.destroy();
    server.close();
  }
}

/** The same handshake message in records of at most `size` bytes. */
export function inRecordsOf(size: number, hello: Buffer): Buffer {
  const records: Buffer[] = [];
  const message = hello.subarray(5);
  for (let at = 0; at < message.length; at += size) {
    const piece = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece);
  }
  return Buffer.concat(records);
}

/** Sends bytes as they are, and gives what comes back until the end. */
export function exchange(port: number, bytes: Buffer | string): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket: Socket = connectTcp({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(bytes));
    const pieces: Buffer[] = [];
    socket.on("data", (piece: Buffer) => pieces.push(piece));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(Buffer.concat(pieces)));
  });
}
