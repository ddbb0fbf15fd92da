import type { Clock } from "../../telemetry/clock.ts";
import type { AdsClient } from "./ads/client.ts";

export interface CatchingUp {
  readonly clock: Clock;
  /** Those that are connected. */
  readonly fleet: () => readonly AdsClient[];
  /** Called when what `fleet` shows may have changed. Returns the function that ends it. */
  readonly onChange: (listener: () => void) => () => void;
  /** Names of the listeners of own processes that take connections; absent: a fleet that others run. */
  readonly openListeners: (() => Promise<ReadonlySet<string>>) | undefined;
  readonly atMostMs: number;
  /** Aborted when the next revision is there: a fleet goes on catching up while that is made. */
  readonly overtaken: AbortSignal | undefined;
}

/** Resolves when every connected client has the revision but for what it refuses, and own listeners are open; or after a while. */
export async function caughtUp(revision: number, around: CatchingUp): Promise<void> {
  const { clock, openListeners, atMostMs } = around;
  const end = clock.now() + atMostMs;
  await clientsHave(String(revision), around);
  if (openListeners === undefined) return;
  while (!takesConnections(await openListeners(), around.fleet()) && clock.now() < end)
    await new Promise<void>((resolve) => clock.after(OPEN_POLL_MS, resolve));
}

function clientsHave(revision: string, around: CatchingUp): Promise<void> {
  const { clock, fleet, onChange, openListeners, atMostMs, overtaken } = around;
  const isFleet = openListeners === undefined;
  const isDone = (): boolean => {
    const clients = fleet();
    if (isFleet && overtaken?.aborted === true) return true;
    if (!isFleet && clients.length === 0) return false;
    return clients.every((client) => client.revision === revision && client.isSettled);
  };
  return new Promise((resolve) => {
    const finish = (): void => {
      cancel();
      unsubscribe();
      overtaken?.removeEventListener("abort", look);
      resolve();
    };
    const look = (): void => {
      if (isDone()) finish();
    };
    const cancel = clock.after(atMostMs, finish);
    const unsubscribe = onChange(look);
    overtaken?.addEventListener("abort", look);
    look();
  });
}

/**
 * A listener opens when its secrets and routes are there: Envoy acknowledges it before. A connection would tell too, but of one to
 * a TCPMapping's port the service hears.
 */
function takesConnections(open: ReadonlySet<string>, clients: readonly AdsClient[]): boolean {
  return (
    clients.length > 0 &&
    clients.every(({ kinds }) =>
      [...(kinds.listener?.acknowledged.keys() ?? [])].every((name) => open.has(name)),
    )
  );
}

const OPEN_POLL_MS = 20;
