import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createSecureServer, type ServerOptions } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";

/** How an upstream answers, by the first segment of the path: everything that a response's framing can be. */
export const WAYS = [
  "sized",
  "large",
  "chunked",
  "trailers",
  "until-close",
  "empty",
  "hinted",
  "early",
  "in-pieces",
  "not-modified",
  "second-try",
] as const;
export type Way = (typeof WAYS)[number];

/** What a client is to get for a path: status, body, and how many interim responses before. */
export function answerTo(way: Way, path: string): { status: number; body: string; hints: number } {
  const size = way === "large" ? 150_000 : way === "in-pieces" ? 20_000 : way === "early" ? 300 : 40;
  const body = `${path} `.repeat(Math.ceil(size / (path.length + 1)));
  if (way === "empty") return { status: 204, body: "", hints: 0 };
  if (way === "not-modified") return { status: 304, body: "", hints: 0 };
  return { status: way === "early" ? 403 : 200, body, hints: way === "hinted" ? 1 : 0 };
}

/** What came whole, in order of its end. */
export type Seen = string;

export function seenOf(method: string, path: string, body: Buffer | string, trailers = 0): Seen {
  return `${method} ${path} ${createHash("sha1").update(body).digest("hex")} ${trailers}`;
}

/** Node's own parser reads the requests: it shares nothing with the gateway's. */
export async function startRecorder(
  seen: Seen[],
  tls: ServerOptions | null,
  onConnection: (socket: Socket) => void = () => {},
): Promise<{ port: number; close(): void }> {
  const server = tls === null ? createServer(recorder(seen)) : createSecureServer(tls, recorder(seen));
  server.on(tls === null ? "connection" : "secureConnection", onConnection);
  return listening(server);
}

function recorder(seen: Seen[]): RequestListener {
  const tried = new Set<string>();
  return (request, response) => {
    const { method = "", url: path = "" } = request;
    const way = path.split("/")[1] as Way;
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    if (way === "early") {
      // How much of its body has come by then nobody can say.
      seen.push(seenOf(method, path, ""));
      answer(way, path, response);
      return;
    }
    request.on("end", () => {
      seen.push(seenOf(method, path, Buffer.concat(chunks), Object.keys(request.trailers).length));
      const isFirst = way === "second-try" && !tried.has(path);
      tried.add(path);
      if (isFirst) response.writeHead(503, { "content-length": 3 }).end(method === "HEAD" ? "" : "not");
      else answer(way, path, response);
    });
  };
}

function answer(way: Way, path: string, response: ServerResponse<IncomingMessage>): void {
  const { status, body } = answerTo(way, path);
  response.statusCode = status;
  response.sendDate = false;
  switch (way) {
    case "empty":
    case "not-modified":
      response.end();
      return;
    case "trailers":
      if (response.req.method === "HEAD") break;
      response.setHeader("trailer", "x-sum");
      response.write(body.slice(0, 7));
      response.addTrailers({ "x-sum": "1" });
      response.end(body.slice(7));
      return;
    case "chunked":
      response.write(body.slice(0, 11));
      response.end(body.slice(11));
      return;
    case "until-close":
      response.useChunkedEncodingByDefault = false;
      response.shouldKeepAlive = false;
      response.removeHeader("transfer-encoding");
      response.write(body.slice(0, 5));
      setImmediate(() => response.end(body.slice(5)));
      return;
    case "in-pieces":
      response.setHeader("content-length", body.length);
      response.flushHeaders();
      pieces(body, response);
      return;
    case "hinted":
      response.writeEarlyHints({ link: "</a>; rel=preload" });
      break;
  }
  response.setHeader("content-length", body.length);
  response.end(body);
}

function pieces(rest: string, response: ServerResponse<IncomingMessage>): void {
  if (rest.length <= 3000) response.end(rest);
  else {
    response.write(rest.slice(0, 3000));
    setImmediate(() => pieces(rest.slice(3000), response));
  }
}

async function listening(server: Server): Promise<{ port: number; close(): void }> {
  // None of its connections is stale that a request could meet.
  server.keepAliveTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * One that takes any method and field, where what it is asked is none of its own business; its heads come in pieces, after
 * `delayMs`. Node's server would refuse some, and reset its answer where it has not read all.
 */
export async function startLenient(
  seen: Seen[],
  delayMs: () => number = () => 0,
): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true).on("error", () => {});
    let bytes = "";
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.toString("latin1");
      for (let request = first(bytes); request !== null; request = first(bytes)) {
        bytes = bytes.slice(request.end);
        seen.push(seenOf(request.method, request.path, Buffer.from(request.body, "latin1")));
        const body = request.method === "HEAD" ? "" : "taken";
        setTimeout(() => {
          socket.write("HTTP/1.1 200 OK\r\nX-Half: 1\r\nConte");
          setImmediate(() => socket.write(`nt-Length: 5\r\n\r\n${body}`));
        }, delayMs());
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The first request in these bytes, once it is whole; the body in its framing. */
function first(bytes: string): { method: string; path: string; body: string; end: number } | null {
  const blank = bytes.indexOf("\r\n\r\n");
  if (blank === -1) return null;
  const head = bytes.slice(0, blank);
  const [method = "", path = ""] = head.split(" ", 2);
  const from = blank + 4;
  let end = from + Number(/\r\ncontent-length:[ \t]*(\d+)/i.exec(head)?.[1] ?? 0);
  if (/\r\ntransfer-encoding:/i.test(head)) {
    for (let size = -1; size !== 0; ) {
      const line = bytes.indexOf("\r\n", end);
      if (line === -1) return null;
      size = Number.parseInt(bytes.slice(end, line), 16);
      end = size === 0 ? line : line + 2 + size + 2;
    }
    if (!bytes.startsWith("\r\n\r\n", end)) end = bytes.indexOf("\r\n\r\n", end);
    if (end === -1) return null;
    end += 4;
  }
  return end > bytes.length ? null : { method, path, body: bytes.slice(from, end), end };
}
