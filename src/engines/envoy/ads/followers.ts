import type { XdsKind } from "../resources.ts";
import type { EncodedResource } from "./encoded.ts";
import { ownerOf } from "./owner.ts";
import { EMPTY, type Snapshot } from "./snapshot.ts";
import type { Subscription } from "./subscription.ts";

/**
 * What goes out again right after what it belongs to, though the client has it: virtual hosts after their route configuration, addresses
 * after their cluster. Envoy makes such a one anew, waits for the rest, and does not ask for it.
 */
export class Followers {
  readonly #get: (kind: XdsKind) => Subscription | undefined;
  readonly #published: () => Snapshot | null;
  /** Route configurations that were just asked for: their virtual hosts follow them. */
  readonly #owedHosts = new Set<string>();
  /** Clusters that have changed: their addresses go out again once they are asked for. */
  readonly #owedEndpoints = new Set<string>();

  constructor(get: (kind: XdsKind) => Subscription | undefined, published: () => Snapshot | null) {
    this.#get = get;
    this.#published = published;
  }

  /** The client asks for a name. `mayHave`: it has told which version it has. */
  subscribe(subscription: Subscription, name: string, mayHave: boolean): void {
    const isOwed = subscription.kind === "endpoints" && this.#owedEndpoints.delete(name);
    subscription.subscribe(name, mayHave && !isOwed);
    if (subscription.kind !== "route-configuration") return;
    if (mayHave) this.#markHosts(new Set([name]), false);
    else this.#owedHosts.add(name);
  }

  subscribeAll(subscription: Subscription): void {
    subscription.subscribeAll();
    const routes = this.#get("route-configuration");
    if (subscription.kind !== "virtual-host" || routes === undefined) return;
    const bare = new Set([
      ...routes.held.keys(),
      ...(routes.inFlight?.resources ?? []).map(({ name }) => name),
    ]);
    for (const name of this.#published()?.["virtual-host"].keys() ?? []) bare.delete(ownerOf(name));
    this.#sayNone(subscription, bare);
  }

  unsubscribe(subscription: Subscription, name: string): void {
    subscription.unsubscribe(name);
    if (subscription.kind !== "route-configuration") return;
    this.#owedHosts.delete(name);
    const hosts = this.#get("virtual-host");
    for (const host of hosts?.held.keys() ?? []) if (ownerOf(host) === name) hosts?.forget(host);
  }

  /** These resources go out now. */
  onSent(kind: XdsKind | null, sent: readonly EncodedResource[]): void {
    if (kind === "route-configuration") this.#oweHosts(sent);
    if (kind === "cluster") this.#oweEndpoints(sent);
  }

  /** To be called before a refusal is taken in: what follows a route configuration that is not there yet is owed still. */
  onRefused({ kind, inFlight, held }: Subscription): void {
    if (kind !== "route-configuration") return;
    for (const { name } of inFlight?.resources ?? []) if (!held.has(name)) this.#owedHosts.add(name);
  }

  /** Virtual hosts are for those route configurations that the client has, or is just being sent. */
  knowsOwner(virtualHost: string): boolean {
    const owner = ownerOf(virtualHost);
    const routes = this.#get("route-configuration");
    if (routes?.isSubscribed(owner) !== true) return false;
    return routes.held.has(owner) || routes.inFlight?.resources.some(({ name }) => name === owner) === true;
  }

  /**
   * A route configuration that was asked for is warming: its virtual hosts go out again, right after it. So they do where it
   * went and comes again while a draining listener still holds it: nobody asks for it a second time then.
   */
  #oweHosts(sent: readonly EncodedResource[]): void {
    const held = this.#get("route-configuration")?.held;
    const owners = sent
      .map(({ name }) => name)
      .filter((name) => this.#owedHosts.delete(name) || held?.has(name) !== true);
    if (owners.length > 0) this.#markHosts(new Set(owners), true);
  }

  /**
   * A cluster that changes is warmed beside the one that serves, and waits for its addresses. It does not ask for them, as the
   * other one has: they go out again, right after it. Where a client comes back that has said nothing of addresses yet, with its
   * word that it has them.
   */
  #oweEndpoints(sent: readonly EncodedResource[]): void {
    const [clusters, endpoints] = [this.#get("cluster"), this.#get("endpoints")];
    for (const { name } of sent) {
      if (endpoints?.isSubscribed(name) === true) endpoints.mark(name, true);
      else if (endpoints === undefined && clusters?.held.has(name) === true) this.#owedEndpoints.add(name);
    }
  }

  #markHosts(owners: ReadonlySet<string>, force: boolean): void {
    const hosts = this.#get("virtual-host");
    if (hosts === undefined) return;
    const bare = new Set(owners);
    for (const name of (this.#published() ?? EMPTY)["virtual-host"].keys()) {
      if (!owners.has(ownerOf(name))) continue;
      bare.delete(ownerOf(name));
      if (hosts.isSubscribed(name)) hosts.mark(name, force);
    }
    // What the client had before this stream, and is gone.
    for (const name of hosts.held.keys()) if (owners.has(ownerOf(name))) hosts.mark(name, false);
    if (force) this.#sayNone(hosts, bare);
  }

  /** A route configuration without any virtual host would warm on; that one of it is removed tells it that there are none. */
  #sayNone(hosts: Subscription, owners: Iterable<string>): void {
    if (hosts.wildcard) for (const owner of owners) hosts.mark(`${owner}/none.invalid`, true);
  }
}
