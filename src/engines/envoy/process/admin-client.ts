import { request } from "node:http";
import type { Answer } from "./pulse.ts";

/** Envoy's admin interface, over the Unix socket in the run directory. */
export class EnvoyAdmin {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** `live`: the first clusters and listeners are in effect. */
  async pulse(timeoutMs: number): Promise<Answer> {
    try {
      const { status, body } = await this.#ask("GET", "/ready", timeoutMs);
      return status === 200 && body.startsWith("LIVE") ? "live" : "initializing";
    } catch (error) {
      return error instanceof NoAnswer ? "silence" : "unreachable";
    }
  }

  async post(path: string): Promise<void> {
    const { status, body } = await this.#ask("POST", path);
    if (status !== 200) throw new Error(`Envoy answered ${status} to ${path}: ${body.slice(0, 200)}`);
  }

  /** Counters and gauges whose name the expression (RE2) finds. */
  async stats(filter: string): Promise<Map<string, number>> {
    const { body } = await this.#ask("GET", `/stats?format=json&filter=${encodeURIComponent(filter)}`);
    const { stats } = JSON.parse(body) as { stats: { name?: string; value?: number }[] };
    return new Map(
      stats.flatMap(({ name, value }) => (name === undefined || value === undefined ? [] : [[name, value]])),
    );
  }

  /**
   * Names of the listeners that take connections as they were acknowledged: none of them has a version that still warms. The
   * version itself would not tell: of a listener whose filter chains alone change, Envoy 1.40 goes on naming the one before.
   */
  async openListeners(): Promise<Set<string>> {
    const { body } = await this.#ask(
      "GET",
      `/config_dump?resource=dynamic_listeners&mask=${LISTENER_FIELDS}`,
    );
    const { configs = [] } = JSON.parse(body) as { configs?: DumpedListener[] };
    return new Set(
      configs.flatMap(({ name, active_state: active, warming_state: warming }) =>
        active?.version_info !== undefined && warming === undefined ? [name] : [],
      ),
    );
  }

  #ask(method: string, path: string, timeoutMs = TIMEOUT_MS): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const asked = request(
        { socketPath: this.#socket, method, path, agent: false, timeout: timeoutMs },
        (response) => {
          let body = "";
          response.setEncoding("utf8");
          response.on("data", (piece) => {
            body += piece;
          });
          response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
          response.on("error", reject);
        },
      );
      asked.on("timeout", () => asked.destroy(new NoAnswer("Envoy's admin interface does not answer")));
      asked.on("error", reject);
      asked.end();
    });
  }
}

class NoAnswer extends Error {}

interface DumpedListener {
  readonly name: string;
  readonly active_state?: { readonly version_info?: string };
  readonly warming_state?: { readonly version_info?: string };
}

const LISTENER_FIELDS = "name,active_state.version_info,warming_state.version_info";
const TIMEOUT_MS = 5_000;
