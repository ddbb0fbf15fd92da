import type { Engine } from "../../engines/engine.ts";
import { systemClock } from "../../telemetry/clock.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { compileOptionsOf, type ResourceFlags } from "../load.ts";
import { wirePlane } from "../plane.ts";
import { type InventoryEntry, takeInventory } from "./inventory.ts";
import { credentialUsers } from "./users.ts";

/** The inventory as it is at each moment: resources, certificate files and issuers are followed as `run` follows them. */
export interface FollowedInventory {
  readonly entries: readonly InventoryEntry[];
  stop(): void;
}

/** Resolves when all has been read once; `onChange` is called after each change that may show, also those of time alone. */
export async function followInventory(
  paths: readonly string[],
  flags: ResourceFlags,
  onChange: () => void,
): Promise<FollowedInventory> {
  const clock = systemClock;
  const { control, source, store, close } = wirePlane({
    ...{ paths, ambassadorId: flags.ambassadorId, istioCerts: flags.istioCerts },
    ...{ compile: compileOptionsOf(flags), incompleteStart: "ready" as const, asksForEndpoints: false },
    ...{ logger: createLogger("silent"), clock, engine: () => NOBODY },
  });
  let soon: NodeJS.Timeout | undefined;
  const changed = (): void => {
    soon ??= setTimeout(async () => {
      soon = undefined;
      await control.reload("noticed");
      onChange();
    }, DEBOUNCE_MS);
  };
  await control.reload();
  const unwatch = source.watch(changed);
  const unsubscribe = [store.onChange(changed), store.onFindings(changed)];
  return {
    get entries() {
      const { compiled } = control;
      if (compiled === null) return [];
      return takeInventory(store, credentialUsers(compiled.compilation, compiled.resources), clock.now());
    },
    stop() {
      clearTimeout(soon);
      unwatch();
      for (const end of unsubscribe) end();
      control.stop();
      close();
    },
  };
}

/** Serves nothing, and whatever it is given. */
const NOBODY: Engine = {
  name: "node",
  apply: async ({ number }) => ({ revision: number, accepted: true, listeners: [], problems: [] }),
  drain: async () => {},
  stop: async () => {},
};

const DEBOUNCE_MS = 50;
