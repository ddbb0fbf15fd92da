import { difference } from "../resources/difference.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import type { Found } from "./found.ts";
import { GroupMemory, type GroupMakers } from "./group-memory.ts";
import type { RoutesInput } from "./routes-input.ts";
import type { CompiledContext } from "./tls-contexts.ts";

type Contexts = ReadonlyMap<string, CompiledContext>;

/**
 * What an earlier compile made of Mappings and TLSContexts, by the objects themselves: the same objects in the same surroundings make
 * the same again, so one changed Mapping among ten thousand costs little. It changes nothing but time.
 */
export class CompileMemory {
  #contexts: { of: readonly TlsContextResource[]; key: string; found: Found<Contexts> } | null = null;
  #surroundings: Surroundings | null = null;
  #groups: GroupMemory | null = null;

  /** `key`: all that contexts are made from beside the resources; null: that is not known. */
  contexts(
    of: readonly TlsContextResource[],
    key: string | null,
    make: () => Found<Contexts>,
  ): Found<Contexts> {
    const known = this.#contexts;
    if (key !== null && known?.key === key && isSame(known.of, of)) return known.found;
    const found = make();
    this.#contexts = key === null ? null : { of, key, found };
    return found;
  }

  /** The groups of these Mappings. Nothing of earlier ones is used when anything but the Mappings is not as it was. */
  groups(input: RoutesInput, makers: GroupMakers): GroupMemory {
    const { mappings } = input;
    const surroundings = surroundingsOf(input);
    const known = isSameAround(this.#surroundings, surroundings) ? this.#groups : null;
    // Should anything below fail, it is half of this and half of that.
    this.#groups = null;
    this.#surroundings = surroundings;
    const changes = known === null ? null : difference(known.mappings, mappings);
    const few =
      changes?.isInOrder === true && changes.gone.length + changes.come.length <= mappings.length / 2;
    const groups = few && known !== null ? known : new GroupMemory();
    if (few && changes !== null) groups.change(mappings, changes.gone, changes.come, makers);
    else groups.begin(mappings, makers);
    this.#groups = groups;
    return groups;
  }
}

/** All that routes are made from beside the Mappings. */
interface Surroundings {
  readonly contexts: readonly CompiledContext[];
  readonly rest: string;
}

function surroundingsOf({ mappings: _, contexts, resolvers, ...rest }: RoutesInput): Surroundings {
  return { contexts: [...contexts.values()], rest: JSON.stringify([[...resolvers], rest]) };
}

function isSameAround(before: Surroundings | null, now: Surroundings): boolean {
  return (
    before?.rest === now.rest &&
    before.contexts.length === now.contexts.length &&
    now.contexts.every((context, at) => {
      const other = before.contexts[at] as CompiledContext;
      return context === other || textOf(context) === textOf(other);
    })
  );
}

/** What a context is to a Mapping that names it. */
function textOf(context: CompiledContext): string {
  const known = TEXTS.get(context);
  if (known !== undefined) return known;
  const { resource, ...rest } = context;
  const text = JSON.stringify([resource.spec.sni, rest]);
  TEXTS.set(context, text);
  return text;
}

const TEXTS = new WeakMap<CompiledContext, string>();

function isSame<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((value, index) => value === other[index]);
}
