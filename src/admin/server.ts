import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "../telemetry/clock.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createAnchorReport } from "./anchors.ts";
import { isLoopback, refusal, SECURITY_HEADERS } from "./guard.ts";
import { renderPage } from "./page.ts";
import { createReadiness, createReport, type ReportQuery, type ReportSources } from "./report.ts";

export interface AdminOptions extends ReportSources {
  readonly address: string;
  /** 0: a free one. */
  readonly port: number;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface AdminServer {
  /** Rejects with the error of `listen`, e.g. EADDRINUSE. */
  open(): Promise<{ address: string; port: number }>;
  close(): Promise<void>;
}

/** Health, metrics and diagnostics. Nothing can be changed through it, and no key can be read. */
export function createAdminServer(options: AdminOptions): AdminServer {
  const startedAt = options.clock.now();
  const loopback = isLoopback(options.address);
  const server: Server = createServer(
    { requestTimeout: 10_000, maxHeaderSize: 16 * 1024 },
    (request, response) => {
      answer(request, loopback, startedAt, options)
        .catch((error: unknown): Answer => {
          options.logger.error({ err: error, url: request.url }, "admin request failed");
          return text(500, "internal error\n");
        })
        .then((result) => send(request, response, result));
    },
  );
  server.maxConnections = 256;
  return {
    open: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host: options.address, port: options.port }, () => {
          server.off("error", reject);
          server.on("error", (error) => options.logger.error({ err: error }, "admin server error"));
          const { address, port } = server.address() as AddressInfo;
          if (!loopback) {
            options.logger.warn(
              { address, port },
              "the admin port is open to the network; its pages name what is behind the gateway",
            );
          }
          resolve({ address, port });
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function answer(
  request: IncomingMessage,
  loopback: boolean,
  startedAt: number,
  options: AdminOptions,
): Promise<Answer> {
  const refused = refusal(request, loopback);
  if (refused !== null) return { ...text(refused.status, `${refused.message}\n`), headers: refused.headers };
  // What begins with two slashes is a path all the same, and names no host.
  const url = URL.parse((request.url ?? "/").replace(/^\/{2,}/, "/"), "http://admin");
  if (url === null) return text(400, "malformed target\n");
  switch (url.pathname) {
    case "/ambassador/v0/check_alive": {
      const seconds = Math.floor((options.clock.now() - startedAt) / 1000);
      return text(200, `alive for ${seconds} s\n`);
    }
    case "/ambassador/v0/check_ready": {
      const { ready, notReady, revision } = createReadiness(options);
      return ready ? text(200, `ready, revision ${revision}\n`) : text(503, `not ready: ${notReady}\n`);
    }
    case "/metrics":
      return { status: 200, type: options.metrics.contentType, body: await options.metrics.text() };
    case "/ambassador/v0/diag/":
      return diagnosticsAnswer(url.searchParams, options);
    case "/ambassador/v0/anchors": {
      const report = createAnchorReport(options.planes, options.clock.now());
      return { status: 200, type: "application/json", body: `${JSON.stringify(report, null, 2)}\n` };
    }
    case "/":
    case "/ambassador/v0/diag":
      return { ...text(308, ""), headers: { location: `/ambassador/v0/diag/${url.search}` } };
    default:
      return text(404, `nothing here; try ${PATHS.join(", ")}\n`);
  }
}

const PATHS = [
  "/ambassador/v0/check_alive",
  "/ambassador/v0/check_ready",
  "/metrics",
  "/ambassador/v0/diag/",
  "/ambassador/v0/anchors",
] as const;

function diagnosticsAnswer(parameters: URLSearchParams, options: AdminOptions): Answer {
  const query: ReportQuery = {
    errorsOnly: parameters.get("filter") === "errors",
    failure: parameters.get("failure")?.trim() || null,
  };
  const report = createReport(options, query);
  if (parameters.get("json") === "true") {
    return { status: 200, type: "application/json", body: `${JSON.stringify(report, null, 2)}\n` };
  }
  return {
    status: 200,
    type: "text/html; charset=utf-8",
    body: renderPage(report, query, options.clock.now()),
  };
}

function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body };
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, headers }: Answer,
): void {
  response.writeHead(status, {
    ...SECURITY_HEADERS,
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(request.method === "HEAD" ? undefined : body);
}
