import { Agent as HttpAgent, type ClientRequestArgs, request as requestHttp } from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import type { Socket } from "node:net";
import { RefusedDial, type SocketDial } from "../../protobuf/socket-dial.ts";
import {
  AgentTrouble,
  agentAddress,
  type Environment,
  namespaceOf,
  tlsOf,
  tokenOf,
} from "./agent-environment.ts";

/** What Consul answered: its index for the next blocking query, and JSON of whatever shape. */
export interface Answer {
  readonly index: number;
  readonly body: unknown;
  /** The token may not see all that there is. */
  readonly isFiltered: boolean;
}

/** One attempt's connections to an agent's HTTP API. */
export interface AgentClient {
  /** `address` for messages. */
  readonly place: string;
  /** The connection of the last answer is still there, and the next question goes over it: to whoever gave that answer. */
  readonly isConnected: boolean;
  get(
    path: string,
    query: Readonly<Record<string, string | readonly string[]>>,
    limits: RequestLimits,
  ): Promise<Answer>;
  close(): void;
}

export interface RequestLimits {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/**
 * Opens the agent at a ConsulResolver's `address` as Consul's Go client does it: with token, TLS and namespace of the
 * environment (CONSUL_HTTP_TOKEN and so on). Files are read at each call: tokens and certificates are replaced.
 */
export function openAgent(address: string, env: Environment, dial?: SocketDial): AgentClient {
  const { socketPath, isSecure, host, port, place } = agentAddress(address, env);
  const token = tokenOf(env);
  const connection = { keepAlive: true, maxSockets: 1 };
  const agent = isSecure ? new HttpsAgent({ ...connection, ...tlsOf(env) }) : new HttpAgent(connection);
  if (socketPath !== null && dial !== undefined)
    agent.createConnection = () => dialled(dial, socketPath, place);
  const common: ClientRequestArgs = {
    agent,
    ...(socketPath === null ? { host, port } : { socketPath }),
    headers: {
      accept: "application/json",
      ...(token === "" ? {} : { "x-consul-token": token }),
    },
    ...(env.CONSUL_HTTP_AUTH === undefined ? {} : { auth: env.CONSUL_HTTP_AUTH }),
  };
  let answeredOver: Socket | null = null;
  return {
    place,
    get isConnected() {
      // One that the other side has ended may still be among the free ones for a moment.
      return Object.values(agent.freeSockets).some((free) =>
        free?.some((socket) => socket === answeredOver && !socket.destroyed && !socket.readableEnded),
      );
    },
    async get(path, query, limits) {
      const search = new URLSearchParams(
        Object.entries({ ...query, ...namespaceOf(env) }).flatMap(([name, value]) =>
          (typeof value === "string" ? [value] : value).map((each) => [name, each]),
        ),
      );
      const asked = search.size === 0 ? path : `${path}?${search}`;
      const answer = await exchange(
        isSecure ? requestHttps : requestHttp,
        { ...common, path: asked },
        place,
        limits,
      );
      answeredOver = answer.socket;
      if (answer.status !== 200) {
        const said = printable(answer.text, token);
        throw new AgentTrouble(`${place} answers ${answer.status}${said === "" ? "" : ` (${said})`}`);
      }
      return {
        index: Number(answer.index ?? 0) || 0,
        body: parsed(answer.text, place),
        isFiltered: answer.isFiltered,
      };
    },
    close: () => agent.destroy(),
  };
}

interface RawAnswer {
  readonly status: number;
  readonly index: string | undefined;
  readonly isFiltered: boolean;
  readonly text: string;
  readonly socket: Socket;
}

function exchange(
  send: typeof requestHttp,
  options: ClientRequestArgs,
  place: string,
  { signal, timeoutMs }: RequestLimits,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const request = send(options);
    const abandon = (): void => void request.destroy(new AgentTrouble(`${place}: no answer in time`));
    const timer = setTimeout(abandon, timeoutMs).unref();
    signal.addEventListener("abort", abandon);
    request.on("close", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abandon);
    });
    if (signal.aborted) abandon();
    request.on("error", (error: NodeJS.ErrnoException) =>
      reject(error instanceof AgentTrouble ? error : new AgentTrouble(`${place}: ${reasonOf(error)}`)),
    );
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > LONGEST_ANSWER)
          request.destroy(new AgentTrouble(`${place} answers with more than ${LONGEST_ANSWER} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", (error: NodeJS.ErrnoException) =>
        reject(error instanceof AgentTrouble ? error : new AgentTrouble(`${place}: ${reasonOf(error)}`)),
      );
      const { socket } = response;
      response.on("end", () =>
        resolve({
          socket,
          status: response.statusCode ?? 0,
          index: response.headers["x-consul-index"] as string | undefined,
          isFiltered: response.headers["x-consul-results-filtered-by-acls"] === "true",
          text: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    request.end();
  });
}

function dialled(dial: SocketDial, path: string, place: string): Socket {
  try {
    return dial(path);
  } catch (error) {
    const why = error instanceof RefusedDial ? error.message : reasonOf(error as NodeJS.ErrnoException);
    throw new AgentTrouble(`${place}: ${why}`);
  }
}

function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return code ?? message;
}

/** Never quoted: what is answered with 200 may be a key. */
function parsed(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AgentTrouble(`${place} answers with what is no JSON`);
  }
}

/** The first line of an error, if it is one that a person may read. */
function printable(text: string, token: string): string {
  const [line = ""] = text.split("\n");
  const shown = token === "" ? line : line.replaceAll(token, "…");
  return /^[\x20-\x7e…]{1,200}$/.test(shown.trim()) && !shown.includes("<") ? shown.trim() : "";
}

/** 5,000 instances and more. */
const LONGEST_ANSWER = 16 * 1024 * 1024;
