import type { Socket } from "node:net";
import { DnsFailure } from "../../../endpoints/endpoint.ts";
import type { Cluster } from "../../../model/cluster.ts";
import type { Clock } from "../../../telemetry/clock.ts";
import type { UpstreamFailure } from "./classify.ts";
import type { ConnectionFacts, UpstreamUser } from "./connection.ts";
import { Dial, type Dialler } from "./dial.ts";
import type { VerifiedPeer } from "./generation.ts";
import type { UpstreamHost } from "./host.ts";
import type { Choice, Hosts } from "./hosts.ts";
import type { Incoming } from "./incoming.ts";
import type { Pool } from "./pool.ts";

/** What an attempt needs of whom it dials for. */
export interface AttemptOwner {
  readonly config: Cluster;
  readonly hosts: Hosts;
  /** The pool of the current credential generation, or why there is none. */
  openPool(): Pool | { readonly missing: string };
  /** Why no further request may be on a connection; null: it may. */
  overload(): string | null;
  /** A peer was verified, or a session resumed with it. */
  onVerified(peer: VerifiedPeer): void;
  /** Another try follows. */
  onTryFailed(failure: UpstreamFailure): void;
  onAttemptOver(user: UpstreamUser): void;
}

/**
 * One user's wait for a new connection: addresses, then dialling them in turn, all within the cluster's connect timeout.
 * As nothing is sent before it ends, it may begin again with a newer credential.
 */
export class Attempt implements Dialler {
  readonly #owner: AttemptOwner;
  readonly #user: UpstreamUser;
  readonly #choice: Choice;
  readonly #cancelTimer: () => void;
  /** The host chosen before there was an attempt. */
  readonly #chosen: UpstreamHost | null;
  #pool: Pool | null = null;
  #untried: UpstreamHost[] = [];
  #host: UpstreamHost | null = null;
  #dial: Dial | null = null;
  /** Tells the answer of an earlier round's resolution from this one's. */
  #round = 0;
  #over = false;

  constructor(
    owner: AttemptOwner,
    clock: Clock,
    user: UpstreamUser,
    choice: Choice,
    chosen: UpstreamHost | null,
  ) {
    this.#owner = owner;
    this.#user = user;
    this.#choice = choice;
    this.#chosen = chosen;
    this.#cancelTimer = clock.after(owner.config.connectTimeoutMs, () => this.#onTimeout());
  }

  get pool(): Pool | null {
    return this.#pool;
  }

  /** Begins, or begins again, with the credential that is current now; `resolving`: the addresses are not there yet. */
  start(resolving: Promise<void> | null): void {
    this.#dial?.abandon();
    this.#dial = null;
    const pool = this.#owner.openPool();
    if ("missing" in pool) {
      this.fail(
        { reason: "credential_unavailable", cause: pool.missing, handshake: "credential_unavailable" },
        null,
      );
      return;
    }
    this.#pool = pool;
    const round = ++this.#round;
    if (resolving === null) this.#onAddresses(round);
    else {
      resolving.then(
        () => this.#onAddresses(round),
        (error: unknown) => this.#onUnresolved(error, round),
      );
    }
  }

  /** The user no longer waits. */
  cancel(): void {
    if (!this.#over) this.#end();
  }

  fail(failure: UpstreamFailure, address: string | null): void {
    if (this.#over) return;
    this.#end();
    this.#user.onUpstreamFailed(failure, address);
  }

  onDialled(socket: Socket, incoming: Incoming, facts: ConnectionFacts): void {
    const pool = this.#pool as Pool;
    this.#dial = null;
    if (facts.peer !== null) this.#owner.onVerified(facts.peer);
    // Added first, so that its place is never taken for free.
    const connection = pool.add(socket, incoming, facts, this.#host as UpstreamHost);
    this.#end();
    const overload = this.#owner.overload();
    if (overload === null) connection.use(this.#user);
    else {
      connection.park(null);
      this.#user.onUpstreamFailed({ reason: "overloaded", cause: overload }, null);
    }
  }

  onDialFailed(failure: UpstreamFailure, dial: Dial): void {
    this.#dial = null;
    // A credential that was replaced meanwhile may be what the peer did not like.
    if (this.#pool?.superseded === true) {
      this.#owner.onTryFailed(failure);
      this.start(this.#owner.hosts.update());
      return;
    }
    this.#countFailure();
    if (dial.phase === "connecting" && this.#untried.length > 0) {
      this.#owner.onTryFailed(failure);
      this.#dialNext();
    } else this.fail(failure, dial.address);
  }

  #onAddresses(round: number): void {
    if (this.#over || round !== this.#round) return;
    const { hosts } = this.#owner;
    const chosen = this.#chosen === null || this.#chosen.gone ? hosts.choose(this.#choice) : this.#chosen;
    if (chosen === null) {
      const { host } = this.#owner.config.service;
      this.#failUnresolved(
        hosts.missing === null ? `no address for ${host}` : `no address for ${host}: ${hosts.missing}`,
      );
      return;
    }
    this.#untried = hosts.inTurn(chosen);
    this.#dialNext();
  }

  #onUnresolved(error: unknown, round: number): void {
    if (round !== this.#round) return;
    const cause = error instanceof DnsFailure ? error.message : String(error);
    this.#failUnresolved(cause);
  }

  #failUnresolved(cause: string): void {
    this.fail({ reason: "upstream_dns_failure", cause, handshake: "dns_failure" }, null);
  }

  #dialNext(): void {
    const host = this.#untried.shift() as UpstreamHost;
    this.#host = host;
    this.#dial = new Dial(host.endpoint, this.#owner.config, (this.#pool as Pool).generation, this);
  }

  #onTimeout(): void {
    const { connectTimeoutMs, service } = this.#owner.config;
    const dial = this.#dial;
    if (dial === null) {
      this.#failUnresolved(`no address for ${service.host} within ${connectTimeoutMs} ms`);
      return;
    }
    this.#countFailure();
    const [missing, handshake] =
      dial.phase === "connecting"
        ? (["no TCP connection", "connect_timeout"] as const)
        : (["TLS handshake not finished", "handshake_timeout"] as const);
    const cause = `${missing} within ${connectTimeoutMs} ms`;
    this.fail({ reason: "upstream_connect_timeout", cause, handshake }, dial.address);
  }

  #countFailure(): void {
    if (this.#host !== null) this.#owner.hosts.outliers?.onFailure(this.#host);
  }

  #end(): void {
    this.#over = true;
    this.#cancelTimer();
    this.#dial?.abandon();
    this.#dial = null;
    this.#owner.onAttemptOver(this.#user);
  }
}
