import type { CredentialChange, CredentialReader } from "../../../credentials/credential.ts";
import { DnsFailure, type Endpoint, type EndpointReader } from "../../../endpoints/endpoint.ts";
import type { Cluster } from "../../../model/cluster.ts";
import type { Clock } from "../../../telemetry/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { Deadlines } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import { UpstreamConnection, type UpstreamUser } from "./connection.ts";
import { type Dialled, dial } from "./dial.ts";
import { Generation } from "./generation.ts";

export interface ClusterContext {
  readonly credentials: CredentialReader;
  readonly endpoints: EndpointReader;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The connections to one cluster, pooled per credential generation: last used, first taken. */
export class UpstreamCluster {
  readonly config: Cluster;
  readonly #context: ClusterContext;
  #pool: Pool | null = null;
  readonly #retired = new Set<Pool>();
  readonly #attempts = new Map<UpstreamUser, Attempt>();
  #nextEndpoint = 0;
  #closed = false;

  constructor(config: Cluster, context: ClusterContext) {
    this.config = config;
    this.#context = context;
  }

  /** Gives `user` a connection, at once where one is idle; `fresh` makes a new one in any case. */
  acquire(user: UpstreamUser, fresh: boolean): void {
    const pool = this.#pool ?? this.#openPool();
    if ("missing" in pool) {
      user.onUpstreamFailed("credential_unavailable", pool.missing, null);
      return;
    }
    const idle = fresh ? undefined : pool.take();
    if (idle !== undefined) {
      idle.use(user);
      return;
    }
    if (this.#connections() >= this.#context.limits.maxUpstreamConnections) {
      user.onUpstreamFailed("overloaded", `${this.config.name} has all its connections in use`, null);
      return;
    }
    const attempt = new Attempt(this, this.#context, pool, user);
    this.#attempts.set(user, attempt);
    attempt.start();
  }

  /** The user no longer waits for a connection. */
  cancel(user: UpstreamUser): void {
    this.#attempts.get(user)?.cancel();
  }

  /** Called by an attempt when it is over, either way. */
  attemptOver(user: UpstreamUser): void {
    this.#attempts.delete(user);
  }

  /** Where the next connection begins among `count` addresses: round robin. */
  rotate(count: number): number {
    this.#nextEndpoint = (this.#nextEndpoint + 1) % count;
    return this.#nextEndpoint;
  }

  onCredentialChange(change: CredentialChange): void {
    const { tls } = this.config;
    if (tls.mode === "cleartext") return;
    const names =
      change.kind === "credential"
        ? tls.credential
        : tls.verification.mode === "none"
          ? undefined
          : tls.verification.trust;
    if (names === change.name) this.#retirePool(this.#context.limits.retireMs);
  }

  close(graceMs: number): void {
    this.#closed = true;
    this.#retirePool(graceMs);
  }

  stats(): { active: number; idle: number } {
    const idle = this.#pool?.idleCount ?? 0;
    return { active: this.#connections() - idle, idle };
  }

  /** A busy connection of a pool that retires is closed on release, or once the grace or its certificate is over. */
  #retirePool(graceMs: number): void {
    const pool = this.#pool;
    this.#pool = null;
    if (pool === null) return;
    this.#retired.add(pool);
    const { clock } = this.#context;
    pool.retire();
    const left = Math.max(0, Math.min(graceMs, pool.generation.notAfter - clock.now()));
    clock.after(left, () => {
      pool.destroy();
      this.#retired.delete(pool);
    });
  }

  #openPool(): Pool | { readonly missing: string } {
    const generation = Generation.create(this.config.tls, this.#context.credentials);
    if ("missing" in generation) return generation;
    const pool = new Pool(generation, this.#context);
    // A request that began under an older revision may still come: it is served, and its connection not kept.
    if (this.#closed) pool.retire();
    else this.#pool = pool;
    return pool;
  }

  #connections(): number {
    let count = this.#attempts.size + (this.#pool?.size ?? 0);
    for (const pool of this.#retired) count += pool.size;
    return count;
  }
}

class Pool {
  readonly generation: Generation;
  readonly #context: ClusterContext;
  readonly #idle: UpstreamConnection[] = [];
  readonly #all = new Set<UpstreamConnection>();
  #retired = false;

  constructor(generation: Generation, context: ClusterContext) {
    this.generation = generation;
    this.#context = context;
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

  add(dialled: Dialled): UpstreamConnection {
    const { deadlines, limits } = this.#context;
    const connection = new UpstreamConnection(
      dialled.socket,
      dialled.facts,
      this,
      deadlines,
      limits.upstreamIdleMs,
    );
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
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  retire(): void {
    this.#retired = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  destroy(): void {
    for (const connection of [...this.#all]) connection.abort();
  }
}

/** One user's wait for a new connection: addresses, then dialling them in turn within the connect timeout. */
class Attempt {
  readonly #cluster: UpstreamCluster;
  readonly #context: ClusterContext;
  readonly #pool: Pool;
  readonly #user: UpstreamUser;
  #giveUp: (() => void) | null = null;
  #cancelTimer: () => void = () => {};
  #over = false;

  constructor(cluster: UpstreamCluster, context: ClusterContext, pool: Pool, user: UpstreamUser) {
    this.#cluster = cluster;
    this.#context = context;
    this.#pool = pool;
    this.#user = user;
  }

  start(): void {
    const { connectTimeoutMs, service } = this.#cluster.config;
    this.#cancelTimer = this.#context.clock.after(connectTimeoutMs, () => {
      if (this.#giveUp !== null) this.#giveUp();
      else
        this.#fail(
          "upstream_dns_failure",
          `no address for ${service.host} within ${connectTimeoutMs} ms`,
          null,
        );
    });
    const found = this.#context.endpoints.resolve(service.host, service.port);
    if (!(found instanceof Promise)) this.#dialFrom(found);
    else {
      found.then(
        (endpoints) => this.#dialFrom(endpoints),
        (error: Error) =>
          this.#fail(
            "upstream_dns_failure",
            error instanceof DnsFailure ? error.message : String(error),
            null,
          ),
      );
    }
  }

  cancel(): void {
    if (this.#over) return;
    this.#end();
    this.#giveUp?.();
  }

  #dialFrom(endpoints: readonly Endpoint[]): void {
    if (this.#over) return;
    const { length } = endpoints;
    if (length === 0)
      this.#fail("upstream_dns_failure", `no address for ${this.#cluster.config.service.host}`, null);
    else this.#dial(endpoints, this.#cluster.rotate(length), length);
  }

  #dial(endpoints: readonly Endpoint[], index: number, left: number): void {
    const endpoint = endpoints[index % endpoints.length] as Endpoint;
    this.#giveUp = dial(endpoint, this.#cluster.config.tls, this.#pool.generation, (failure, dialled) => {
      this.#giveUp = null;
      if (dialled !== null) {
        if (this.#over) dialled.socket.destroy();
        else {
          this.#end();
          this.#pool.add(dialled).use(this.#user);
        }
        return;
      }
      if (this.#over || failure === null) return;
      // Nothing was sent yet, so any other address will do as well.
      if (failure.tcpFailed && failure.reason !== "upstream_connect_timeout" && left > 1) {
        this.#dial(endpoints, index + 1, left - 1);
      } else this.#fail(failure.reason, failure.cause, `${endpoint.address}:${endpoint.port}`);
    });
  }

  #fail(
    reason: Parameters<UpstreamUser["onUpstreamFailed"]>[0],
    cause: string,
    address: string | null,
  ): void {
    if (this.#over) return;
    this.#end();
    this.#user.onUpstreamFailed(reason, cause, address);
  }

  #end(): void {
    this.#over = true;
    this.#cancelTimer();
    this.#cluster.attemptOver(this.#user);
  }
}
