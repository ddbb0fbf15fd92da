import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

/** A gRPC server on a Unix socket of its own, which can go away and come back at the same path. */
export interface GrpcServer {
  readonly path: string;
  /** Connections accepted so far. */
  connections: number;
  /** All connections end, and the path is gone. */
  leave(): Promise<void>;
  comeBack(): Promise<void>;
  /** For good. */
  close(): Promise<void>;
}

export async function startGrpcServer(routes: (router: ConnectRouter) => void): Promise<GrpcServer> {
  const directory = mkdtempSync(join(tmpdir(), "credence-grpc-"));
  const path = join(directory, "socket");
  const sessions = new Set<ServerHttp2Session>();
  let http: Http2Server | null = null;
  const server: GrpcServer = {
    path,
    connections: 0,
    async comeBack() {
      const handler = connectNodeAdapter({ routes, grpc: true, grpcWeb: false, connect: false });
      const listening = createServer((request, response) => {
        // gRPC's C core says the path of the socket there, which is no authority of a URL.
        request.headers[":authority"] = "localhost";
        handler(request, response);
      });
      listening.on("session", (session) => {
        server.connections++;
        sessions.add(session);
        session.on("error", () => {});
        session.on("close", () => sessions.delete(session));
      });
      await new Promise<void>((resolve, reject) => {
        listening.once("error", reject);
        listening.listen(path, resolve);
      });
      http = listening;
    },
    async leave() {
      const closing = http;
      http = null;
      for (const session of sessions) session.destroy();
      await new Promise<void>((resolve) => (closing === null ? resolve() : closing.close(() => resolve())));
    },
    async close() {
      await server.leave();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  await server.comeBack();
  return server;
}

/** What is said to every stream there is and will be; the last thing said is the first that a new stream hears. */
export class Announcement<Said> {
  #version = 0;
  #said: Said | null = null;
  #waiting: (() => void)[] = [];

  say(said: Said): void {
    this.#said = said;
    this.#version++;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Whoever comes from now on hears nothing, until something is said again. */
  fallSilent(): void {
    this.#said = null;
  }

  async *follow(signal: AbortSignal): AsyncGenerator<Said> {
    let seen = 0;
    const onAbort = (): void => {
      for (const wake of this.#waiting.splice(0)) wake();
    };
    signal.addEventListener("abort", onAbort);
    try {
      while (!signal.aborted) {
        if (this.#version > seen && this.#said !== null) {
          seen = this.#version;
          yield this.#said;
        } else await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}
