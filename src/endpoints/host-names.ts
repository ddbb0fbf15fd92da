import type { Clock } from "../telemetry/clock.ts";
import { DnsFailure, type EndpointReader } from "./endpoint.ts";

/** What is known of a name. */
export interface NameFound {
  /** The last that there were, where there are none now. */
  readonly addresses: readonly string[];
  /** Why newer ones cannot be had; null: they can. */
  readonly trouble: string | null;
}

/** The names among the addresses that a source tells, looked up again and again for as long as it tells them. */
export class HostNames {
  readonly #dns: EndpointReader;
  readonly #clock: Clock;
  readonly #onChange: () => void;
  readonly #found = new Map<string, NameFound>();
  #names: ReadonlySet<string> = new Set();
  #cancelNext: () => void = () => {};
  /** Names to look up. */
  #queue: string[] = [];
  /** At work on it, each with one name. */
  readonly #asking = new Set<string>();
  /** Told after each answer. */
  #waiting: (() => void) | null = null;

  /** `onChange` is told when something else is known of one of the names wanted. */
  constructor(dns: EndpointReader, clock: Clock, onChange: () => void) {
    this.#dns = dns;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** Undefined while its first answer is awaited. */
  find(name: string): NameFound | undefined {
    return this.#found.get(name);
  }

  /** These and no others from now on. Resolves when something is known of each of them, or when that takes too long. */
  want(names: ReadonlySet<string>): Promise<void> {
    this.stop();
    this.#names = names;
    for (const name of this.#found.keys()) if (!names.has(name)) this.#found.delete(name);
    // New ones first: somebody waits for them.
    this.#lookUp([...names].filter((name) => !this.#found.has(name)));
    this.#plan();
    if (this.#areKnown()) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        cancelLate();
        this.#waiting = null;
        resolve();
      };
      const cancelLate = this.#clock.after(FIRST_MS, finish);
      this.#waiting = () => {
        if (this.#areKnown()) finish();
      };
    });
  }

  /** Nothing is looked up any more; nobody waits. */
  stop(): void {
    this.#names = new Set();
    this.#queue = [];
    this.#cancelNext();
    this.#waiting?.();
  }

  #areKnown(): boolean {
    return [...this.#names].every((name) => this.#found.has(name));
  }

  #plan(): void {
    this.#cancelNext();
    if (this.#asking.size > 0 || this.#names.size === 0) return;
    this.#cancelNext = this.#clock.after(INTERVAL_MS, () => this.#lookUp([...this.#names]));
  }

  #lookUp(names: readonly string[]): void {
    this.#queue = [...new Set([...names, ...this.#queue])].filter((name) => !this.#asking.has(name));
    while (this.#asking.size < AT_ONCE && this.#queue.length > 0) void this.#work();
  }

  async #work(): Promise<void> {
    for (let name = this.#queue.shift(); name !== undefined; name = this.#queue.shift()) {
      this.#asking.add(name);
      const found = await this.#ask(name);
      this.#asking.delete(name);
      this.#take(name, found);
    }
    this.#plan();
  }

  #take(name: string, now: NameFound): void {
    // Answers may come when nobody wants them any more.
    if (!this.#names.has(name)) return;
    const before = this.#found.get(name);
    const found = now.trouble === null ? now : { addresses: before?.addresses ?? [], trouble: now.trouble };
    this.#found.set(name, found);
    if (this.#waiting !== null) this.#waiting();
    else if (before?.trouble !== found.trouble || before.addresses.join() !== found.addresses.join())
      this.#onChange();
  }

  /** The port is the source's. */
  async #ask(name: string): Promise<NameFound> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancelLate = this.#clock.after(LATE_MS, () => reject(new DnsFailure(name, "ETIMEOUT")));
    try {
      const endpoints = await Promise.race([this.#dns.resolve(name, 0), late]);
      return { addresses: endpoints.map(({ address }) => address), trouble: null };
    } catch (error) {
      return { addresses: [], trouble: error instanceof DnsFailure ? error.code : "unknown" };
    } finally {
      cancelLate();
    }
  }
}

/** What DNS said stays in its cache for longer (`dns.ts`), so most of these ask nobody. */
const INTERVAL_MS = 2_000;
/** Of names of one source: look-ups hold threads. */
const AT_ONCE = 3;
/** Instances that have addresses do not wait longer for those that have names. */
const FIRST_MS = 2_000;
/** The others go on. */
const LATE_MS = 5_000;
