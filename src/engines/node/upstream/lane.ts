import type { CredentialChange } from "../../../credentials/credential.ts";
import type { Cluster } from "../../../model/cluster.ts";
import type { Deadlines } from "../deadlines.ts";
import { tellUpstream } from "../verified.ts";
import { Attempt, type AttemptOwner } from "./attempt.ts";
import { Breaker } from "./breaker.ts";
import type { UpstreamFailure } from "./classify.ts";
import type { ClusterContext } from "./cluster-context.ts";
import type { UpstreamUser } from "./connection.ts";
import { Generation, type VerifiedPeer } from "./generation.ts";
import type { UpstreamHost } from "./host.ts";
import type { Choice, Hosts } from "./hosts.ts";
import { Pool, type PoolOwner } from "./pool.ts";

/**
 * The connections of one priority of a cluster: in use, idle and in the making, never across credential generations, and
 * those who wait for one.
 */
export class Lane implements AttemptOwner, PoolOwner {
  readonly config: Cluster;
  readonly hosts: Hosts;
  readonly breaker: Breaker;
  readonly deadlines: Deadlines;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  readonly #context: ClusterContext;
  /** Of the current credential generation; null until it is needed. */
  #pool: Pool | null = null;
  readonly #retired = new Set<Pool>();
  readonly #attempts = new Map<UpstreamUser, Attempt>();
  /** First come, first served, once `max_connections` are in use. */
  readonly #waiting = new Map<UpstreamUser, Choice>();
  #admitting = false;
  /** When the last connection is cut; null while the cluster is wanted. */
  #closesAt: number | null = null;

  constructor(config: Cluster, priority: Choice["priority"], hosts: Hosts, context: ClusterContext) {
    this.config = config;
    this.hosts = hosts;
    this.breaker = new Breaker(config.breakers?.[priority]);
    this.#context = context;
    this.deadlines = context.deadlines;
    this.idleMs = config.idleTimeoutMs || context.limits.upstreamIdleMs;
    this.lifetimeMs = config.maxLifetimeMs || Number.POSITIVE_INFINITY;
  }

  /** Gives `user` a connection to `host`, at once where one is idle; `fresh` makes a new one in any case. */
  acquire(
    user: UpstreamUser,
    fresh: boolean,
    choice: Choice,
    host: UpstreamHost | null,
    resolving: Promise<void> | null,
  ): void {
    const pool = this.#pool;
    const overload = this.overload();
    if (overload !== null) {
      user.onUpstreamFailed({ reason: "overloaded", cause: overload }, null);
      return;
    }
    // The store withdraws a credential when it ends, but its timer may be late.
    if (pool !== null && pool.generation.notAfter <= this.#context.clock.now()) this.supersede("unusable");
    else if (pool !== null && !fresh && host !== null && this.#waiting.size === 0) {
      const idle = pool.take(host);
      if (idle !== undefined) {
        idle.use(user);
        return;
      }
    }
    this.#connect(user, choice, host, resolving);
  }

  /** The user no longer waits for a connection. */
  cancel(user: UpstreamUser): void {
    this.#waiting.delete(user);
    this.#attempts.get(user)?.cancel();
  }

  /** `host` is no address of the cluster any more. */
  onLeft(host: UpstreamHost): void {
    this.#pool?.onLeft(host);
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
    const { credentials, clock } = this.#context;
    const generation = Generation.create(this.config.tls, credentials);
    if ("missing" in generation) return generation;
    const pool = new Pool(generation, this);
    // The retry of a request that began under an older revision: served, and nothing of it is kept.
    if (this.#closesAt === null) this.#pool = pool;
    else this.#retire(pool, Math.max(1, this.#closesAt - clock.now()));
    return pool;
  }

  overload(): string | null {
    const { breaker } = this;
    return breaker.open ? `${breaker.maxRequests} requests to ${this.config.name} are in flight` : null;
  }

  onVerified(peer: VerifiedPeer): void {
    tellUpstream(this.#context.onVerified, this.config, peer);
  }

  onTryFailed({ handshake }: UpstreamFailure): void {
    if (handshake !== undefined) this.#context.onTryFailed?.(handshake);
  }

  onAttemptOver(user: UpstreamUser): void {
    this.#attempts.delete(user);
    this.onRoom();
  }

  /** Those who wait get what has become free, in turn. */
  onRoom(): void {
    if (this.#waiting.size === 0 || this.#admitting) return;
    this.#admitting = true;
    for (const [user, choice] of this.#waiting) {
      if (this.breaker.open) break;
      const host = this.hosts.choose(choice);
      const idle =
        choice.hash === null
          ? this.#pool?.takeAny((each) => !each.ejected)
          : host === null
            ? undefined
            : this.#pool?.take(host);
      if (idle === undefined && !this.#hasRoom()) break;
      this.#waiting.delete(user);
      if (idle !== undefined) idle.use(user);
      else this.#dial(user, choice, host, this.hosts.update());
    }
    this.#admitting = false;
  }

  /**
   * New requests go with the new credential from now on. A handshake under way with the old one may still succeed, unless
   * the old one was withdrawn.
   */
  supersede(event: CredentialChange["event"]): void {
    const pool = this.#pool;
    if (pool === null) return;
    this.#pool = null;
    pool.superseded = true;
    this.#retire(pool, this.#context.limits.retireMs);
    if (event !== "rotated") this.#abandonAttempts(pool);
  }

  #connect(
    user: UpstreamUser,
    choice: Choice,
    host: UpstreamHost | null,
    resolving: Promise<void> | null,
  ): void {
    const { maxConnections, maxPendingRequests } = this.breaker;
    const overloaded = (cause: string): void => user.onUpstreamFailed({ reason: "overloaded", cause }, null);
    const pending = this.#attempts.size + this.#waiting.size;
    if (pending >= maxPendingRequests)
      overloaded(`${pending} requests wait for a connection to ${this.config.name}`);
    else if (this.#waiting.size === 0 && this.#hasRoom()) this.#dial(user, choice, host, resolving);
    else if (maxConnections !== null) this.#waiting.set(user, choice);
    else {
      const { maxUpstreamConnections } = this.#context.limits;
      overloaded(`all ${maxUpstreamConnections} connections to ${this.config.name} are in use`);
    }
  }

  /** Whether there may be one more connection; an idle one makes room. As in Envoy there is always one. */
  #hasRoom(): boolean {
    const count = this.#connections();
    const most = this.breaker.maxConnections ?? this.#context.limits.maxUpstreamConnections;
    return count < most || count === 0 || this.#pool?.dropIdle() === true;
  }

  #dial(
    user: UpstreamUser,
    choice: Choice,
    host: UpstreamHost | null,
    resolving: Promise<void> | null,
  ): void {
    const attempt = new Attempt(this, this.#context.clock, user, choice, host);
    this.#attempts.set(user, attempt);
    attempt.start(resolving);
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
      if (pool?.superseded === true) attempt.start(this.hosts.update());
      else attempt.fail(CLUSTER_GONE, null);
    }
    if (pool !== null) return;
    const waiting = [...this.#waiting.keys()];
    this.#waiting.clear();
    for (const user of waiting) user.onUpstreamFailed(CLUSTER_GONE, null);
  }

  #connections(): number {
    let count = this.#attempts.size + (this.#pool?.size ?? 0);
    for (const pool of this.#retired) count += pool.size;
    return count;
  }
}

const CLUSTER_GONE: UpstreamFailure = { reason: "upstream_connect_failed", cause: "its cluster is gone" };
