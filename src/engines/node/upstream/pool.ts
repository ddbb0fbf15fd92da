import type { Socket } from "node:net";
import type { Deadlines } from "../deadlines.ts";
import { type ConnectionFacts, type ConnectionOwner, UpstreamConnection } from "./connection.ts";
import type { Generation } from "./generation.ts";
import type { Incoming } from "./incoming.ts";

/** The connections of one cluster that were made with one credential generation: last used, first taken. */
export class Pool implements ConnectionOwner {
  readonly generation: Generation;
  /** Retired because its credential was replaced or withdrawn: what still waits for a connection begins again. */
  superseded = false;
  readonly #deadlines: Deadlines;
  readonly #idleMs: number;
  readonly #idle: UpstreamConnection[] = [];
  readonly #all = new Set<UpstreamConnection>();
  #retired = false;

  constructor(generation: Generation, deadlines: Deadlines, idleMs: number) {
    this.generation = generation;
    this.#deadlines = deadlines;
    this.#idleMs = idleMs;
  }

  get size(): number {
    return this.#all.size;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  take(): UpstreamConnection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.usable) return connection;
      connection.destroy();
    }
    return undefined;
  }

  /** Makes room for another connection by closing the idle one that was used longest ago. */
  dropIdle(): boolean {
    const oldest = this.#idle.shift();
    oldest?.end();
    return oldest !== undefined;
  }

  add(socket: Socket, incoming: Incoming, facts: ConnectionFacts): UpstreamConnection {
    const connection = new UpstreamConnection(socket, incoming, facts, this, this.#deadlines, this.#idleMs);
    this.#all.add(connection);
    return connection;
  }

  onIdle(connection: UpstreamConnection): boolean {
    if (this.#retired) return false;
    this.#idle.push(connection);
    return true;
  }

  onGone(connection: UpstreamConnection): void {
    this.#all.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  /** Idle connections close now, busy ones once they are released. */
  retire(): void {
    this.#retired = true;
    for (const connection of this.#idle.splice(0)) connection.end();
  }

  /** Cuts whatever is left; returns how many connections that were. */
  destroy(cause: string): number {
    this.#retired = true;
    const left = [...this.#all];
    for (const connection of left) connection.abort(cause);
    return left.length;
  }
}
