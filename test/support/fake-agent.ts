import { createServer, type IncomingHttpHeaders, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type ServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";

export interface Question {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
}

/** Something at an agent's address that answers as a test says: blocking, lying, or not at all. */
export interface FakeAgent {
  readonly address: string;
  readonly questions: Question[];
  /** Ends all connections, as the end of an agent does. Resolves when the other side has seen it. */
  cut(): Promise<void>;
  close(): Promise<void>;
}

export async function startFakeAgent(
  answer: (question: Question, response: ServerResponse) => void,
  tls?: ServerOptions,
): Promise<FakeAgent> {
  const questions: Question[] = [];
  const listener: RequestListener = (request, response) => {
    const { pathname: path, searchParams: query } = new URL(request.url ?? "", "http://agent");
    const question = { path, query, headers: request.headers };
    questions.push(question);
    answer(question, response);
  };
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    questions,
    async cut() {
      await Promise.all(
        [...sockets].map((socket) => new Promise<void>((resolve) => socket.once("close", resolve).end())),
      );
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function answerJson(response: ServerResponse, body: unknown, index: number | null = 1): void {
  if (index !== null) response.setHeader("x-consul-index", String(index));
  response.setHeader("content-type", "application/json").end(JSON.stringify(body));
}

/** An entry of the health API. */
export function instance(
  port: number,
  more: { address?: string; status?: string; weight?: unknown } = {},
): unknown {
  return {
    Node: { Address: "127.0.0.1" },
    Service: { Address: more.address ?? "", Port: port, Weights: { Passing: more.weight ?? 1, Warning: 1 } },
    Checks: [{ Status: more.status ?? "passing" }],
  };
}
