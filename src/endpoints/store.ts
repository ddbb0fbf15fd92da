import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import { type DiscoveredEndpoints, type Found, UNKNOWN } from "./discovered.ts";
import type { Endpoint } from "./endpoint.ts";

/** Which object made somebody be asked, for the findings about what was answered. */
export interface EndpointsOrigin {
  readonly subject: Subject;
  readonly source?: SourcePosition | undefined;
}

/**
 * The addresses of services whose resolver is not DNS, by the resolver's name for them. What a source told last stays until
 * it says something else, or nobody wants it any more: a source that is down takes no service away.
 */
export class EndpointStore implements DiscoveredEndpoints {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(name: string) => void>();
  readonly #findingListeners = new Set<() => void>();

  find(name: string): Found {
    return this.#entries.get(name)?.found ?? UNKNOWN;
  }

  /**
   * All that are healthy, none included: `missing` says why then. `leftOut` says which others nobody can dial, if any. The
   * source is well again.
   */
  publish(
    name: string,
    endpoints: readonly Endpoint[],
    origin: EndpointsOrigin,
    missing = "no healthy instance",
    leftOut: string | null = null,
  ): void {
    const sorted = distinct(endpoints);
    const before = this.#entries.get(name);
    const why = sorted.length > 0 ? null : missing;
    const isSame =
      before?.isKnown === true &&
      before.found.missing === why &&
      listOf(before.found.endpoints) === listOf(sorted);
    const found = isSame ? before.found : { endpoints: sorted, missing: why };
    this.#entries.set(name, { found, origin, trouble: null, leftOut, isKnown: true });
    if (!isSame) for (const listener of this.#listeners) listener(name);
    if (!isSame || before.trouble !== null || before.leftOut !== leftOut) this.#tellFindings();
  }

  /** The source does not answer. What it said before stays in use. */
  reportTrouble(name: string, origin: EndpointsOrigin, trouble: string): void {
    const before = this.#entries.get(name);
    if (before?.trouble === trouble) return;
    const found = before?.isKnown === true ? before.found : { endpoints: [], missing: trouble };
    const leftOut = before?.leftOut ?? null;
    this.#entries.set(name, { found, origin, trouble, leftOut, isKnown: before?.isKnown === true });
    this.#tellFindings();
  }

  /** Nobody wants it any more. */
  withdraw(name: string): void {
    if (!this.#entries.delete(name)) return;
    for (const listener of this.#listeners) listener(name);
    this.#tellFindings();
  }

  onChange(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Told whenever `diagnostics` may say something else. */
  onFindings(listener: () => void): () => void {
    this.#findingListeners.add(listener);
    return () => this.#findingListeners.delete(listener);
  }

  /** Sources that do not answer, services without a healthy instance, and those of which some cannot be dialled. */
  diagnostics(): Diagnostic[] {
    return [...this.#entries.values()].flatMap(({ found, origin, trouble, leftOut, isKnown }) => {
      const { length } = found.endpoints;
      if (trouble !== null) {
        const effect = length > 0 ? ("kept-previous" as const) : ("route-fails-closed" as const);
        const kept = length > 0 ? `; the addresses last known (${length}) stay in use` : "";
        return [diagnose("endpoints-unavailable", { ...origin, message: `${trouble}${kept}`, effect })];
      }
      if (!isKnown) return [];
      if (length > 0)
        return leftOut === null ? [] : [diagnose("endpoints-left-out", { ...origin, message: leftOut })];
      return [diagnose("endpoints-none", { ...origin, message: found.missing ?? "no healthy instance" })];
    });
  }

  #tellFindings(): void {
    for (const listener of this.#findingListeners) listener();
  }
}

interface Entry {
  readonly found: Found;
  readonly origin: EndpointsOrigin;
  /** Why nothing new can be had; null: it can. */
  readonly trouble: string | null;
  /** Which healthy instances are not used, and why; null: all are. */
  readonly leftOut: string | null;
  /** The source has answered once. */
  readonly isKnown: boolean;
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}

function listOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map((each) => `${keyOf(each)} ${each.weight ?? 1}`).join();
}

/** Each address once, sorted. What is told twice counts as the greater of its weights, whatever the order. */
function distinct(endpoints: readonly Endpoint[]): Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const each of endpoints) {
    const before = found.get(keyOf(each));
    if (before === undefined || (each.weight ?? 1) > (before.weight ?? 1)) found.set(keyOf(each), each);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, endpoint]) => endpoint);
}
