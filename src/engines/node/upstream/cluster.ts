import type { CredentialChange, CredentialReader } from "../../../credentials/credential.ts";
import type { EndpointReader } from "../../../endpoints/endpoint.ts";
import type { Cluster } from "../../../model/cluster.ts";
import type { Clock } from "../../../telemetry/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { Deadlines } from "../deadlines.ts";
import type { Limits } from "../limits.ts";
import { Attempt, type AttemptOwner } from "./attempt.ts";
import type { UpstreamUser } from "./connection.ts";
import { Generation } from "./generation.ts";
import { Pool } from "./pool.ts";

export interface ClusterContext {
  readonly credentials: CredentialReader;
  readonly endpoints: EndpointReader;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The way to one cluster: connections in use, idle and in the making, never across credential generations. */
export class UpstreamCluster implements AttemptOwner {
  readonly config: Cluster;
  readonly #context: ClusterContext;
  /** Of the current credential generation; null until it is needed. */
  #pool: Pool | null = null;
  readonly #retired = new Set<Pool>();
  readonly #attempts = new Map<UpstreamUser, Attempt>();
  #nextAddress = 0;
  /** When the cluster's last connection is cut; null while the cluster is wanted. */
  #closesAt: number | null = null;

  constructor(config: Cluster, context: ClusterContext) {
    this.config = config;
    this.#context = context;
  }

  /** Gives `user` a connection, at once where one is idle; `fresh` makes a new one in any case. */
  acquire(user: UpstreamUser, fresh: boolean): void {
    const pool = this.#pool;
    // The store withdraws a credential when it ends, but its timer may be late.
    if (pool !== null && pool.generation.notAfter <= this.#context.clock.now()) this.#supersede("unusable");
    else if (pool !== null && !fresh) {
      const idle = pool.take();
      if (idle !== undefined) {
        idle.use(user);
        return;
      }
    }
    this.#connect(user);
  }

  /** The user no longer waits for a connection. */
  cancel(user: UpstreamUser): void {
    this.#attempts.get(user)?.cancel();
  }

  onCredentialChange(change: CredentialChange): void {
    const { tls } = this.config;
    if (tls.mode === "cleartext") return;
    const trust = tls.verification.mode === "none" ? undefined : tls.verification.trust;
    const used = change.kind === "credential" ? tls.credential : trust;
    if (used === change.name) this.#supersede(change.event);
  }

  /** The cluster is in no revision any more: what is under way may end within `graceMs`. */
  close(graceMs: number): void {
    const pool = this.#pool;
    this.#pool = null;
    this.#closesAt = this.#context.clock.now() + graceMs;
    if (pool !== null) this.#retire(pool, graceMs);
    if (graceMs > 0) return;
    this.#abandonAttempts(null);
    for (const retired of [...this.#retired]) this.#destroy(retired);
  }

  stats(): { active: number; idle: number } {
    const idle = this.#pool?.idleCount ?? 0;
    return { active: this.#connections() - idle, idle };
  }

  openPool(): Pool | { readonly missing: string } {
    if (this.#pool !== null) return this.#pool;
    const { credentials, deadlines, limits, clock } = this.#context;
    const generation = Generation.create(this.config.tls, credentials);
    if ("missing" in generation) return generation;
    const pool = new Pool(generation, deadlines, limits.upstreamIdleMs);
    // The retry of a request that began under an older revision: served, and nothing of it is kept.
    if (this.#closesAt === null) this.#pool = pool;
    else this.#retire(pool, Math.max(1, this.#closesAt - clock.now()));
    return pool;
  }

  nextAddress(count: number): number {
    this.#nextAddress = (this.#nextAddress + 1) % count;
    return this.#nextAddress;
  }

  onAttemptOver(user: UpstreamUser): void {
    this.#attempts.delete(user);
  }

  #connect(user: UpstreamUser): void {
    const { limits, endpoints, clock } = this.#context;
    if (this.#connections() >= limits.maxUpstreamConnections && this.#pool?.dropIdle() !== true) {
      const cause = `all ${limits.maxUpstreamConnections} connections to ${this.config.name} are in use`;
      user.onUpstreamFailed("overloaded", cause, null);
      return;
    }
    const attempt = new Attempt(this, endpoints, clock, user);
    this.#attempts.set(user, attempt);
    attempt.start();
  }

  /**
   * New requests go with the new credential from now on. A handshake under way with the old one may still succeed, unless
   * the old one was withdrawn.
   */
  #supersede(event: CredentialChange["event"]): void {
    const pool = this.#pool;
    if (pool === null) return;
    this.#pool = null;
    pool.superseded = true;
    this.#retire(pool, this.#context.limits.retireMs);
    if (event !== "rotated") this.#abandonAttempts(pool);
  }

  /** A busy connection of `pool` is closed on release, or once the grace or its certificate is over. */
  #retire(pool: Pool, graceMs: number): void {
    const { clock, logger } = this.#context;
    const { identity, notAfter } = pool.generation;
    pool.retire();
    logger.debug({ cluster: this.config.name, identity, busy: pool.size }, "upstream connections retired");
    const left = Math.min(graceMs, notAfter - clock.now());
    if (left <= 0) this.#destroy(pool);
    else {
      this.#retired.add(pool);
      clock.after(left, () => this.#destroy(pool));
    }
  }

  #destroy(pool: Pool): void {
    this.#retired.delete(pool);
    const cause = pool.superseded ? "its credential is retired" : "its cluster is gone";
    const cut = pool.destroy(cause);
    if (cut > 0) {
      const { identity } = pool.generation;
      this.#context.logger.info(
        { cluster: this.config.name, identity, cut },
        `upstream connections cut: ${cause}`,
      );
    }
    this.#abandonAttempts(pool);
  }

  /** Nothing was sent yet: what waits for `pool` begins again with what is current, or ends with the cluster. */
  #abandonAttempts(pool: Pool | null): void {
    for (const attempt of [...this.#attempts.values()]) {
      if (pool !== null && attempt.pool !== pool) continue;
      if (pool?.superseded === true) attempt.start();
      else attempt.fail("upstream_connect_failed", "its cluster is gone", null);
    }
  }

  #connections(): number {
    let count = this.#attempts.size + (this.#pool?.size ?? 0);
    for (const pool of this.#retired) count += pool.size;
    return count;
  }
}
