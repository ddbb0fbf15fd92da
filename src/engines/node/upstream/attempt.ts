import type { Socket } from "node:net";
import type { FailureReason } from "../../../diagnostics/failure.ts";
import { DnsFailure, type Endpoint, type EndpointReader } from "../../../endpoints/endpoint.ts";
import type { Cluster } from "../../../model/cluster.ts";
import type { Clock } from "../../../telemetry/clock.ts";
import type { UpstreamFailure } from "./classify.ts";
import type { ConnectionFacts, UpstreamUser } from "./connection.ts";
import { Dial, type Dialler } from "./dial.ts";
import type { Incoming } from "./incoming.ts";
import type { Pool } from "./pool.ts";

/** What an attempt needs of its cluster. */
export interface AttemptOwner {
  readonly config: Cluster;
  /** The pool of the current credential generation, or why there is none. */
  openPool(): Pool | { readonly missing: string };
  /** Which of `count` addresses comes first this time. */
  nextAddress(count: number): number;
  onAttemptOver(user: UpstreamUser): void;
}

/**
 * One user's wait for a new connection: addresses, then dialling them in turn, all within the cluster's connect timeout.
 * As nothing is sent before it ends, it may begin again with a newer credential.
 */
export class Attempt implements Dialler {
  readonly #owner: AttemptOwner;
  readonly #endpoints: EndpointReader;
  readonly #user: UpstreamUser;
  readonly #cancelTimer: () => void;
  #pool: Pool | null = null;
  #addresses: readonly Endpoint[] = [];
  #next = 0;
  #untried = 0;
  #dial: Dial | null = null;
  /** Tells the answer of an earlier round's resolution from this one's. */
  #round = 0;
  #over = false;

  constructor(owner: AttemptOwner, endpoints: EndpointReader, clock: Clock, user: UpstreamUser) {
    this.#owner = owner;
    this.#endpoints = endpoints;
    this.#user = user;
    this.#cancelTimer = clock.after(owner.config.connectTimeoutMs, () => this.#onTimeout());
  }

  get pool(): Pool | null {
    return this.#pool;
  }

  /** Begins, or begins again, with the credential that is current now. */
  start(): void {
    this.#dial?.abandon();
    this.#dial = null;
    const pool = this.#owner.openPool();
    if ("missing" in pool) {
      this.fail("credential_unavailable", pool.missing, null);
      return;
    }
    this.#pool = pool;
    const round = ++this.#round;
    const { host, port } = this.#owner.config.service;
    const found = this.#endpoints.resolve(host, port);
    if (!(found instanceof Promise)) this.#onAddresses(found, round);
    else {
      found.then(
        (addresses) => this.#onAddresses(addresses, round),
        (error: unknown) => this.#onUnresolved(error, round),
      );
    }
  }

  /** The user no longer waits. */
  cancel(): void {
    if (!this.#over) this.#end();
  }

  fail(reason: FailureReason, cause: string, address: string | null): void {
    if (this.#over) return;
    this.#end();
    this.#user.onUpstreamFailed(reason, cause, address);
  }

  onDialled(socket: Socket, incoming: Incoming, facts: ConnectionFacts): void {
    const pool = this.#pool;
    this.#dial = null;
    this.#end();
    pool?.add(socket, incoming, facts).use(this.#user);
  }

  onDialFailed(failure: UpstreamFailure, dial: Dial): void {
    this.#dial = null;
    // A credential that was replaced meanwhile may be what the peer did not like.
    if (this.#pool?.superseded === true) this.start();
    else if (dial.phase === "connecting" && this.#untried > 0) this.#dialNext();
    else this.fail(failure.reason, failure.cause, dial.address);
  }

  #onAddresses(addresses: readonly Endpoint[], round: number): void {
    if (this.#over || round !== this.#round) return;
    this.#addresses = addresses;
    this.#untried = addresses.length;
    if (addresses.length === 0) {
      this.fail("upstream_dns_failure", `no address for ${this.#owner.config.service.host}`, null);
      return;
    }
    this.#next = this.#owner.nextAddress(addresses.length);
    this.#dialNext();
  }

  #onUnresolved(error: unknown, round: number): void {
    if (round !== this.#round) return;
    const cause = error instanceof DnsFailure ? error.message : String(error);
    this.fail("upstream_dns_failure", cause, null);
  }

  #dialNext(): void {
    const endpoint = this.#addresses[this.#next] as Endpoint;
    this.#next = (this.#next + 1) % this.#addresses.length;
    this.#untried--;
    const { generation } = this.#pool as Pool;
    this.#dial = new Dial(endpoint, this.#owner.config.tls, generation, this);
  }

  #onTimeout(): void {
    const { connectTimeoutMs, service } = this.#owner.config;
    const dial = this.#dial;
    if (dial === null) {
      this.fail("upstream_dns_failure", `no address for ${service.host} within ${connectTimeoutMs} ms`, null);
      return;
    }
    const missing = dial.phase === "connecting" ? "no TCP connection" : "TLS handshake not finished";
    this.fail("upstream_connect_timeout", `${missing} within ${connectTimeoutMs} ms`, dial.address);
  }

  #end(): void {
    this.#over = true;
    this.#cancelTimer();
    this.#dial?.abandon();
    this.#dial = null;
    this.#owner.onAttemptOver(this.#user);
  }
}
