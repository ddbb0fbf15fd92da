import type { CredentialChange, CredentialKind } from "../../../credentials/credential.ts";
import { endpointsName } from "../../../endpoints/discovered.ts";
import type { Cluster } from "../../../model/cluster.ts";
import type { Breaker } from "./breaker.ts";
import type { ClusterContext } from "./cluster-context.ts";
import type { UpstreamUser } from "./connection.ts";
import type { UpstreamHost } from "./host.ts";
import { ANY_HOST, type Choice, Hosts } from "./hosts.ts";
import { Lane } from "./lane.ts";
import type { Outliers } from "./outliers.ts";

/** The way to one cluster: the choice of a host, and connections to it, apart for each priority. */
export class UpstreamCluster {
  readonly config: Cluster;
  readonly #hosts: Hosts;
  readonly #default: Lane;
  readonly #high: Lane;
  readonly #lanes: readonly Lane[];

  constructor(config: Cluster, context: ClusterContext) {
    this.config = config;
    this.#hosts = new Hosts(config, context.endpoints, context.discovered, context.clock, (host) => {
      for (const lane of this.#lanes) lane.onLeft(host);
    });
    this.#default = new Lane(config, "default", this.#hosts, context);
    this.#high = new Lane(config, "high", this.#hosts, context);
    this.#lanes = [this.#default, this.#high];
  }

  /** Who is told how requests went; null: nobody cares. */
  get outliers(): Outliers | null {
    return this.#hosts.outliers;
  }

  get hosts(): readonly UpstreamHost[] {
    return this.#hosts.hosts;
  }

  /** Gives `user` a connection, at once where one is idle; `fresh` makes a new one in any case. */
  acquire(user: UpstreamUser, fresh: boolean, choice: Choice = ANY_HOST): void {
    // Who dials waits for the addresses; connections that are there serve meanwhile.
    const resolving = this.#hosts.update();
    this.#lane(choice.priority).acquire(user, fresh, choice, this.#hosts.choose(choice), resolving);
  }

  /** The user no longer waits for a connection. */
  cancel(user: UpstreamUser): void {
    for (const lane of this.#lanes) lane.cancel(user);
  }

  breaker(priority: Choice["priority"]): Breaker {
    return this.#lane(priority).breaker;
  }

  /** The name of this kind that connections are made with. */
  uses(kind: CredentialKind): string | undefined {
    const { tls } = this.config;
    if (tls.mode === "cleartext") return undefined;
    if (kind === "credential") return tls.credential;
    const { verification } = tls;
    if (verification.mode === "none") return undefined;
    if (kind === "trust") return verification.trust;
    // A staple is for clients.
    return kind === "crl" ? verification.rules?.revocation?.crl : undefined;
  }

  onCredentialChange({ kind, name, event }: CredentialChange): void {
    if (this.uses(kind) === name) for (const lane of this.#lanes) lane.supersede(event);
  }

  /** Connections to addresses that left are closed now, not when somebody asks for one. */
  onEndpointsChange(name: string): void {
    if (endpointsName(this.config) === name) void this.#hosts.update();
  }

  /** The cluster is in no revision any more: what is under way may end within `graceMs`. */
  close(graceMs: number): void {
    this.outliers?.stop();
    for (const lane of this.#lanes) lane.close(graceMs);
  }

  stats(): { active: number; idle: number } {
    let active = 0;
    let idle = 0;
    for (const lane of this.#lanes) {
      const stats = lane.stats();
      active += stats.active;
      idle += stats.idle;
    }
    return { active, idle };
  }

  #lane(priority: Choice["priority"]): Lane {
    return priority === "default" ? this.#default : this.#high;
  }
}
