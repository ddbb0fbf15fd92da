import type { Compilation } from "../../compile/compilation.ts";
import { compile } from "../../compile/compile.ts";
import { CredentialStore } from "../../credentials/store.ts";
import type { ResourceSet } from "../../resources/resource-set.ts";
import { CertificateFiles } from "../../sources/files/certificate-files.ts";
import { createFileSource } from "../../sources/files/files.ts";
import { systemClock } from "../../telemetry/clock.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { compileOptionsOf, type ResourceFlags } from "../load.ts";
import { withoutIstioSecret } from "../istio-certs.ts";
import { wireMesh } from "../mesh.ts";
import { filesToFollow } from "../plane.ts";
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
  const logger = createLogger("silent");
  const store = new CredentialStore(clock);
  const files = new CertificateFiles(store);
  const mesh = wireMesh({ store, clock, logger });
  const source = createFileSource({
    paths,
    credentials: withoutIstioSecret(flags.istioCerts, store),
    ambassadorId: flags.ambassadorId,
    logger,
  });
  let latest: { resources: ResourceSet; compilation: Compilation } | undefined;
  let resources: ResourceSet | undefined;
  let soon: NodeJS.Timeout | undefined;

  const recompile = (): void => {
    if (resources === undefined) return;
    const compilation = compile({ resources, statuses: store.statuses, options: compileOptionsOf(flags) });
    latest = { resources, compilation };
  };
  const changed = (): void => {
    soon ??= setTimeout(() => {
      soon = undefined;
      recompile();
      onChange();
    }, DEBOUNCE_MS);
  };
  let turn = Promise.resolve();
  const read = (): Promise<void> => {
    turn = turn.then(async () => {
      resources = (await source.load()).resources;
      await Promise.all([files.follow(filesToFollow(resources, flags.istioCerts)), mesh.follow(resources)]);
      mesh.settle();
    });
    return turn;
  };
  await read();
  recompile();
  const unwatch = source.watch(() => void read().then(changed));
  const unsubscribe = [store.onChange(changed), store.onFindings(changed)];
  return {
    get entries() {
      if (latest === undefined) return [];
      return takeInventory(store, credentialUsers(latest.compilation, latest.resources), clock.now());
    },
    stop() {
      clearTimeout(soon);
      unwatch();
      for (const end of unsubscribe) end();
      files.stop();
      mesh.stop();
      store.close();
    },
  };
}

const DEBOUNCE_MS = 50;
