import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import type { ControlState } from "../control/control.ts";
import type { FailureHistory } from "../control/failures.ts";
import type { CredentialListing } from "../credentials/store.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { diagnosticsJson } from "./diagnostics-json.ts";
import { diagnosticsPage } from "./diagnostics-page.ts";

export interface AdminSources {
  readonly state: () => ControlState;
  readonly credentials: () => readonly CredentialListing[];
  readonly failures: FailureHistory;
  readonly metrics: Metrics;
  readonly engineName: string;
  readonly draining: () => boolean;
  readonly logger: Logger;
}

/** Health, metrics and diagnostics: read only, and on loopback unless told otherwise. Holds no key material to give away. */
export class AdminServer {
  readonly #sources: AdminSources;
  readonly #server: Server;
  #loopback = true;

  constructor(sources: AdminSources) {
    this.#sources = sources;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        sources.logger.error({ err: error }, "admin request failed");
        if (!response.headersSent) send(response, 500, "text/plain", "internal error\n");
      });
    });
  }

  /** Rejects with the error of `listen`. */
  open(address: string, port: number): Promise<{ address: string; port: number }> {
    this.#loopback = isLoopback(address);
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, address, () => {
        const bound = this.#server.address() as AddressInfo;
        resolve({ address: bound.address, port: bound.port });
      });
    });
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { state, credentials, failures, metrics, engineName, draining } = this.#sources;
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      send(response, 405, "text/plain", "read only\n");
      return;
    }
    // A page of another site must not reach the loopback through a name of its own (DNS rebinding).
    if (this.#loopback && !isLocalHost(request.headers.host)) {
      send(response, 403, "text/plain", "ask by a loopback address or localhost\n");
      return;
    }
    const url = new URL(request.url ?? "/", "http://admin.invalid");
    switch (url.pathname) {
      case "/ambassador/v0/check_alive":
        send(response, 200, "text/plain", "alive\n");
        return;
      case "/ambassador/v0/check_ready": {
        const { notReady } = state();
        const reason = draining() ? "draining" : notReady;
        send(
          response,
          reason === null ? 200 : 503,
          "text/plain",
          reason === null ? "ready\n" : `not ready: ${reason}\n`,
        );
        return;
      }
      case "/metrics":
        send(response, 200, metrics.contentType, await metrics.text());
        return;
      case "/ambassador/v0/diag":
      case "/ambassador/v0/diag/": {
        const found = diagnosticsJson(state(), credentials(), failures.recent(), engineName);
        const failureId = url.searchParams.get("failure");
        if (failureId !== null) {
          const failure = failures.find(failureId);
          send(
            response,
            failure === undefined ? 404 : 200,
            "application/json",
            `${JSON.stringify(failure ?? { error: "no such failure, or too long ago" }, null, 2)}\n`,
          );
        } else if (url.searchParams.get("json") === "true") {
          send(response, 200, "application/json", `${JSON.stringify(found, null, 2)}\n`);
        } else send(response, 200, "text/html; charset=utf-8", diagnosticsPage(found));
        return;
      }
      case "/":
        response.setHeader("location", "/ambassador/v0/diag/");
        send(response, 302, "text/plain", "see /ambassador/v0/diag/\n");
        return;
      default:
        send(response, 404, "text/plain", "not found; try /ambassador/v0/diag/\n");
    }
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    "content-type": type,
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "referrer-policy": "no-referrer",
  });
  response.end(body);
}

function isLoopback(address: string): boolean {
  return address === "localhost" || address === "::1" || /^127\./.test(address);
}

function isLocalHost(host: string | undefined): boolean {
  const name = (host ?? "").replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  return isLoopback(name) && (name === "localhost" || isIP(name) !== 0);
}
