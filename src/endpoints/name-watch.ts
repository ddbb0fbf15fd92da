import type { DnsSettings } from "../model/cluster.ts";
import { type DiscoveredEndpoints, type Found, UNKNOWN } from "./discovered.ts";
import { Pace } from "./pace.ts";
import { type NameContext, profileOf, type ResolvedName, resolvedName } from "./resolved-name.ts";

/** A name whose addresses somebody has to be told, under the name by which they are found. */
export interface NameWanted {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly dns?: DnsSettings | undefined;
}

/**
 * Keeps the addresses of names fresh, for an engine that is told addresses rather than asks for them: as they were asked
 * for by need (dns.ts) they are fresh for as long, and old ones are used for as long while DNS does not answer.
 */
export class NameWatch implements DiscoveredEndpoints {
  readonly #context: NameContext;
  readonly #pace: Pace;
  /** By what is asked about. */
  readonly #watched = new Map<string, Watched>();
  readonly #found = new Map<string, Found>();
  readonly #listeners = new Set<(name: string) => void>();
  #isStopped = false;

  constructor(context: NameContext) {
    this.#context = context;
    this.#pace = new Pace(context.clock);
  }

  find(name: string): Found {
    return this.#found.get(name) ?? UNKNOWN;
  }

  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The whole list, each time it may have changed. Resolves when each new name was answered for, or a bounded time later; never rejects. */
  async follow(wanted: readonly NameWanted[]): Promise<void> {
    if (this.#isStopped) return;
    const lists = Map.groupBy(wanted, ({ host, dns }) => keyOf(host, profileOf(dns)));
    const first: Promise<unknown>[] = [];
    for (const [key, list] of lists) {
      const ports = new Map(list.map(({ name, port }) => [name, port]));
      const known = this.#watched.get(key);
      if (known !== undefined) {
        known.ports = ports;
        this.#publish(known);
        continue;
      }
      const [{ host, dns }] = list as [NameWanted];
      const name = resolvedName(
        host,
        dns,
        this.#context,
        (each) => this.#watched.get(keyOf(host, each))?.name,
      );
      const watched = { name, ports, cancel: () => {} };
      this.#watched.set(key, watched);
      const asked = this.#ask(watched);
      if (name.isUsable) this.#publish(watched);
      else first.push(asked);
    }
    this.#forget(new Set(lists.keys()), new Set(wanted.map(({ name }) => name)));
    if (first.length > 0) await this.#answered(first);
  }

  stop(): void {
    this.#isStopped = true;
    for (const { cancel } of this.#watched.values()) cancel();
    this.#watched.clear();
  }

  /** What nobody wants any more. */
  #forget(keys: ReadonlySet<string>, names: ReadonlySet<string>): void {
    for (const [key, watched] of this.#watched) {
      if (keys.has(key)) continue;
      watched.cancel();
      this.#watched.delete(key);
    }
    for (const name of this.#found.keys()) if (!names.has(name)) this.#found.delete(name);
  }

  /** Resolves after the first answer. Then it is asked again, as often as it takes. */
  async #ask(watched: Watched): Promise<void> {
    let isOver = false;
    watched.cancel = () => {
      isOver = true;
    };
    await this.#pace.run(() => (isOver ? NOTHING : watched.name.ask())).catch(() => undefined);
    if (isOver) return;
    this.#publish(watched);
    watched.cancel = this.#context.clock.after(
      Math.max(SHORTEST_REST_MS, watched.name.restMs),
      () => void this.#ask(watched),
    );
  }

  #publish({ name, ports }: Watched): void {
    for (const [key, port] of ports) {
      const before = this.#found.get(key);
      const endpoints = name.isUsable ? name.at(port) : NONE;
      // The same list as long as nothing changes.
      if (before?.endpoints === endpoints) continue;
      this.#found.set(key, {
        endpoints,
        missing: endpoints.length > 0 ? null : `DNS has no address for ${name.host}`,
      });
      for (const listener of this.#listeners) listener(key);
    }
  }

  async #answered(first: readonly Promise<unknown>[]): Promise<void> {
    const { clock, logger } = this.#context;
    const { promise: late, resolve } = Promise.withResolvers<"late">();
    const cancel = clock.after(Math.min(LONGEST_WAIT_MS, WAIT_MS + first.length * EACH_MS), () =>
      resolve("late"),
    );
    const outcome = await Promise.race([late, Promise.all(first)]);
    cancel();
    if (outcome !== "late") return;
    const names = [...this.#watched.values()].filter(({ ports }) =>
      [...ports.keys()].every((key) => !this.#found.has(key)),
    );
    logger?.warn(
      { names: names.slice(0, MOST_NAMED).map(({ name }) => name.host), count: names.length },
      "names that DNS does not answer for: their routes answer 503 until it does",
    );
  }
}

interface Watched {
  readonly name: ResolvedName;
  /** By the names under which its addresses are found. */
  ports: ReadonlyMap<string, number>;
  /** Ends the wait, or the interest in the answer. */
  cancel: () => void;
}

/** Whoever waited for its turn may not be wanted any more. */
const NOTHING = Promise.resolve();
function keyOf(host: string, profile: number): string {
  return `${host} ${profile}`;
}

const NONE: Found["endpoints"] = [];
const SHORTEST_REST_MS = 100;
/** Longer than name servers take that answer. */
const WAIT_MS = 1_000;
const EACH_MS = 2;
const LONGEST_WAIT_MS = 4_000;
const MOST_NAMED = 10;
