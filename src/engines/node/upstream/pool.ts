import type { Socket } from "node:net";
import type { Deadlines } from "../deadlines.ts";
import type { Breaker } from "./breaker.ts";
import { type ConnectionFacts, type ConnectionOwner, UpstreamConnection } from "./connection.ts";
import type { Generation } from "./generation.ts";
import type { UpstreamHost } from "./host.ts";
import type { Incoming } from "./incoming.ts";

/** What a pool needs of whose connections it holds. */
export interface PoolOwner {
  readonly breaker: Breaker;
  readonly deadlines: Deadlines;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  /** A connection is idle or gone: somebody who waits may have its place. */
  onRoom(): void;
}

/** The connections that were made with one credential generation, by host: last used, first taken. */
export class Pool implements ConnectionOwner {
  readonly generation: Generation;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  /** Retired because its credential was replaced or withdrawn: what still waits for a connection begins again. */
  superseded = false;
  readonly #owner: PoolOwner;
  readonly #idle = new Map<UpstreamHost, UpstreamConnection[]>();
  readonly #all = new Set<UpstreamConnection>();
  #retired = false;

  constructor(generation: Generation, owner: PoolOwner) {
    this.generation = generation;
    this.#owner = owner;
    this.idleMs = owner.idleMs;
    this.lifetimeMs = owner.lifetimeMs;
  }

  get size(): number {
    return this.#all.size;
  }

  get idleCount(): number {
    let count = 0;
    for (const idle of this.#idle.values()) count += idle.length;
    return count;
  }

  take(host: UpstreamHost): UpstreamConnection | undefined {
    const idle = this.#idle.get(host);
    if (idle === undefined) return undefined;
    for (let connection = idle.pop(); connection !== undefined; connection = idle.pop()) {
      if (connection.usable) return connection;
      connection.destroy();
    }
    return undefined;
  }

  /** Of any host that `mayServe` lets pass. */
  takeAny(mayServe: (host: UpstreamHost) => boolean): UpstreamConnection | undefined {
    for (const host of this.#idle.keys()) {
      const connection = mayServe(host) ? this.take(host) : undefined;
      if (connection !== undefined) return connection;
    }
    return undefined;
  }

  /** Makes room for another connection by closing the idle one that was used longest ago. */
  dropIdle(): boolean {
    let oldest: UpstreamConnection | undefined;
    for (const [first] of this.#idle.values()) {
      if (first !== undefined && (oldest === undefined || first.idleSince < oldest.idleSince)) oldest = first;
    }
    oldest?.end();
    return oldest !== undefined;
  }

  /** `host` is no address of the cluster any more. */
  onLeft(host: UpstreamHost): void {
    const idle = this.#idle.get(host);
    this.#idle.delete(host);
    for (const connection of idle ?? []) connection.end();
  }

  add(socket: Socket, incoming: Incoming, facts: ConnectionFacts, host: UpstreamHost): UpstreamConnection {
    const connection = new UpstreamConnection(socket, incoming, facts, host, this, this.#owner.deadlines);
    this.#all.add(connection);
    return connection;
  }

  onUse(): void {
    this.#owner.breaker.requests++;
  }

  onFree(): void {
    this.#owner.breaker.requests--;
  }

  onIdle(connection: UpstreamConnection): boolean {
    const { host } = connection;
    if (this.#retired || host.gone) return false;
    const idle = this.#idle.get(host);
    if (idle === undefined) this.#idle.set(host, [connection]);
    else idle.push(connection);
    this.#owner.onRoom();
    return true;
  }

  onGone(connection: UpstreamConnection): void {
    this.#all.delete(connection);
    const idle = this.#idle.get(connection.host);
    const at = idle === undefined ? -1 : idle.lastIndexOf(connection);
    if (at !== -1) idle?.splice(at, 1);
    this.#owner.onRoom();
  }

  /** Idle connections close now, busy ones once they are released. */
  retire(): void {
    this.#retired = true;
    const idle = [...this.#idle.values()].flat();
    this.#idle.clear();
    for (const connection of idle) connection.end();
  }

  /** Cuts whatever is left; returns how many connections that were. */
  destroy(cause: string): number {
    this.#retired = true;
    const left = [...this.#all];
    for (const connection of left) connection.abort(cause);
    return left.length;
  }
}
