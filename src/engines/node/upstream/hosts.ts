import { type DiscoveredEndpoints, endpointsName } from "../../../endpoints/discovered.ts";
import type { Endpoint, EndpointReader } from "../../../endpoints/endpoint.ts";
import type { Cluster } from "../../../model/cluster.ts";
import type { Clock } from "../../../telemetry/clock.ts";
import { turnTime } from "../turn.ts";
import { type Balancer, createBalancer } from "./balancer/balancer.ts";
import { UpstreamHost } from "./host.ts";
import { Outliers } from "./outliers.ts";

/** What a request asks of the way to its cluster. */
export interface Choice {
  readonly priority: "default" | "high";
  /** 32 bits of what the request is to stay with; null: it goes anywhere. */
  readonly hash: number | null;
  /** Where it went wrong before, `address:port`: another host is preferred. */
  readonly avoid: string | null;
}

/** Of requests that ask for nothing. */
export const ANY_HOST: Choice = { priority: "default", hash: null, avoid: null };

/** The hosts of a cluster, as they are resolved, and the choice among them. */
export class Hosts {
  /** Null: none are ever left out. */
  readonly outliers: Outliers | null;
  readonly #config: Cluster;
  readonly #endpoints: EndpointReader;
  readonly #discovered: DiscoveredEndpoints;
  /** Null: DNS has them. */
  readonly #discoveredName: string | null;
  readonly #balancer: Balancer;
  readonly #onLeft: (host: UpstreamHost) => void;
  #asked = 0;
  /** The turn in which what is taken was last asked for. */
  #foundIn = Number.NaN;
  #answered = 0;
  #found: readonly Endpoint[] = [];
  #hosts: readonly UpstreamHost[] = [];
  #eligible: readonly UpstreamHost[] = [];

  /** `onLeft` is told of each host that is among the addresses no more. */
  constructor(
    config: Cluster,
    endpoints: EndpointReader,
    discovered: DiscoveredEndpoints,
    clock: Clock,
    onLeft: (host: UpstreamHost) => void,
  ) {
    this.#config = config;
    this.#endpoints = endpoints;
    this.#discovered = discovered;
    this.#discoveredName = endpointsName(config);
    this.#balancer = createBalancer(config.balancer);
    this.#onLeft = onLeft;
    this.outliers = config.outliers === undefined ? null : new Outliers(config.outliers, this, clock);
  }

  get hosts(): readonly UpstreamHost[] {
    return this.#hosts;
  }

  /** Why there are none, where a resolver says it. */
  get missing(): string | null {
    return this.#discoveredName === null ? null : this.#discovered.find(this.#discoveredName).missing;
  }

  /** Takes over what is resolved now. A promise where nothing is; it rejects with a `DnsFailure`. */
  update(): Promise<void> | null {
    if (this.#discoveredName !== null) {
      this.#take(this.#discovered.find(this.#discoveredName).endpoints);
      return null;
    }
    // One turn's requests share what the first of them found.
    const turn = turnTime();
    if (turn === this.#foundIn) return null;
    const { service, dns } = this.#config;
    const found = this.#endpoints.resolve(service.host, service.port, dns);
    const asked = ++this.#asked;
    if (!(found instanceof Promise)) {
      this.#answered = asked;
      this.#take(found);
      this.#foundIn = turn;
      return null;
    }
    const pending = found.then((endpoints) => {
      // Answers may overtake each other: an older one says nothing new.
      if (asked < this.#answered) return;
      this.#answered = asked;
      this.#take(endpoints);
    });
    // Nobody need wait for it.
    pending.catch(() => undefined);
    return pending;
  }

  /** The host for this request; null while none is known. */
  choose({ hash, avoid }: Choice): UpstreamHost | null {
    const { length } = this.#eligible;
    if (length === 0) return null;
    const host = this.#balancer.pick(hash);
    if (host.address !== avoid || length === 1) return host;
    const other = this.#eligible.indexOf(host) + 1 + Math.floor(Math.random() * (length - 1));
    return this.#eligible[other % length] as UpstreamHost;
  }

  /** Those to try one after the other, beginning with the one chosen. */
  inTurn(first: UpstreamHost): UpstreamHost[] {
    const at = this.#eligible.indexOf(first);
    return at === -1 ? [first] : [...this.#eligible.slice(at), ...this.#eligible.slice(0, at)];
  }

  onEjection(): void {
    const eligible = this.#hosts.filter((host) => !host.ejected);
    // All that were not ejected may have left.
    this.#eligible = eligible.length > 0 ? eligible : this.#hosts;
    this.#balancer.update(this.#eligible);
  }

  #take(found: readonly Endpoint[]): void {
    if (found === this.#found) return;
    this.#found = found;
    if (this.#config.dns?.logical === true && found[0] !== undefined) {
      this.#move(found[0]);
      return;
    }
    const known = new Map(this.#hosts.map((host) => [keyOf(host.endpoint), host]));
    let isReweighed = false;
    const hosts = found.map((endpoint) => {
      const host = known.get(keyOf(endpoint)) ?? new UpstreamHost(endpoint);
      if (host.weight !== (endpoint.weight ?? 1)) isReweighed = true;
      host.endpoint = endpoint;
      return host;
    });
    const areSame =
      hosts.length === this.#hosts.length && hosts.every((host, at) => host === this.#hosts[at]);
    if (areSame && !isReweighed) return;
    const kept = new Set(hosts);
    const left = this.#hosts.filter((host) => !kept.has(host));
    this.#hosts = hosts;
    this.onEjection();
    for (const host of left) {
      host.gone = true;
      this.#onLeft(host);
    }
  }

  /** `logical_dns`: one host whose address may change at any time; connections to an earlier one stay. */
  #move(endpoint: Endpoint): void {
    const [host] = this.#hosts;
    if (host !== undefined) host.moveTo(endpoint);
    else {
      this.#hosts = [new UpstreamHost(endpoint)];
      this.onEjection();
    }
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
