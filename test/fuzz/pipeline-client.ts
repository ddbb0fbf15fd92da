import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";

/** A response as a client reads it. */
export interface Read {
  readonly status: number;
  readonly body: string;
  /** Interim responses before it. */
  readonly interim: readonly number[];
  readonly closes: boolean;
}

/** Writes the pieces, each in a turn of its own, ends its side, and returns all that comes until the peer ends, too. */
export function talk(
  port: number,
  pieces: readonly Buffer[],
  tls: ConnectionOptions | null,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket =
      tls === null ? connect(port, "127.0.0.1") : connectTls({ port, host: "127.0.0.1", ...tls });
    const received: Buffer[] = [];
    socket.setNoDelay(true);
    socket.setTimeout(10_000, () => socket.destroy(new Error("nothing comes any more")));
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // Whoever is refused in the middle of what it says may be told so by a reset.
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") reject(error);
    });
    socket.on("close", () => resolve(Buffer.concat(received).toString("latin1")));
    socket.on(tls === null ? "connect" : "secureConnect", async () => {
      for (const piece of pieces) {
        if (socket.destroyed || socket.readableEnded) break;
        if (!socket.write(piece))
          await new Promise<void>((go) => void socket.once("drain", go).once("close", go));
        await new Promise((go) => setImmediate(go));
      }
      socket.end();
    });
  });
}

/**
 * Responses to requests with these methods, read as RFC 9112 §6.3 has it. Throws where the bytes are no sequence of whole
 * responses.
 */
export function readAll(text: string, methods: readonly string[]): Read[] {
  const all: Read[] = [];
  let at = 0;
  let interim: number[] = [];
  while (at < text.length) {
    const blank = text.indexOf("\r\n\r\n", at);
    if (blank === -1) throw new Error(`half a head: ${text.slice(at, at + 200)}`);
    const [start = "", ...lines] = text.slice(at, blank).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${start} `)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) throw new Error(`no status line: ${start.slice(0, 200)}`);
    const field = (name: string): string | undefined =>
      lines
        .find((line) => line.toLowerCase().startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim();
    at = blank + 4;
    if (status < 200) {
      interim.push(status);
      continue;
    }
    let body = "";
    const method = methods[all.length] ?? "GET";
    if (method === "HEAD" || status === 204 || status === 304) body = "";
    else if (field("transfer-encoding") === "chunked") [body, at] = chunks(text, at);
    else {
      const length = Number(field("content-length") ?? Number.NaN);
      if (Number.isNaN(length)) throw new Error(`a response without a length: ${start}`);
      body = text.slice(at, at + length);
      if (body.length < length) throw new Error(`${body.length} of ${length} bytes of a body`);
      at += length;
    }
    all.push({ status, body, interim, closes: /\bclose\b/i.test(field("connection") ?? "") });
    interim = [];
  }
  if (interim.length > 0) throw new Error(`nothing behind ${interim}`);
  return all;
}

function chunks(text: string, from: number): [string, number] {
  let body = "";
  for (let at = from; ; ) {
    const line = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (line === -1 || Number.isNaN(size)) throw new Error("half a chunked body");
    at = line + 2;
    if (size === 0) {
      const end = text.startsWith("\r\n", at) ? at : text.indexOf("\r\n\r\n", at) + 2;
      if (end === 1) throw new Error("half a trailer section");
      return [body, end + 2];
    }
    body += text.slice(at, at + size);
    if (text.slice(at + size, at + size + 2) !== "\r\n") throw new Error("a chunk without its end");
    at += size + 2;
  }
}
