import { hash } from "node:crypto";
import type { Attempt } from "../../credentials/persistent-stream.ts";
import type { SocketDial } from "../../protobuf/socket-dial.ts";
import type { Clock } from "../../telemetry/clock.ts";
import { type AgentClient, type Answer, openAgent } from "./agent.ts";
import { AgentTrouble, type Environment } from "./agent-environment.ts";

export interface BlockingQuery {
  readonly address: string;
  readonly env: Environment;
  readonly dial: SocketDial | undefined;
  readonly clock: Clock;
  readonly path: string;
  readonly query: Readonly<Record<string, string | readonly string[]>>;
  /** Takes an answer. Throws an `AgentTrouble` where it is of no use; returns what else is the matter, or null. Ends early with `signal`. */
  readonly take: (
    answer: Answer,
    place: string,
    signal: AbortSignal,
  ) => string | null | Promise<string | null>;
}

/**
 * Asks one thing of an agent for as long as the attempt lasts, each time when it has changed (Consul's blocking queries):
 * the way of `PersistentStream.open`. Ends with an error only.
 */
export function followQuery({
  address,
  env,
  dial,
  clock,
  path,
  query,
  take,
}: BlockingQuery): (attempt: Attempt) => Promise<void> {
  return async (attempt) => {
    const client: AgentClient = openAgent(address, env, dial);
    const { signal } = attempt;
    try {
      let index = 0;
      let said = "";
      let pause = SHORTEST_PAUSE_MS;
      while (!signal.aborted) {
        const began = clock.now();
        // Whoever answers over another connection may be another agent, or the same one restored: an index that it has not reached
        // yet is waited for in vain until the wait is over.
        const isBlocking = index > 0 && client.isConnected;
        const answer = await client.get(
          path,
          isBlocking ? { ...query, index: String(index), wait: `${WAIT_MS / 1000}s` } : query,
          { signal, timeoutMs: isBlocking ? WAIT_MS + WAIT_MS / 16 + SLOW_MS : FIRST_MS },
        );
        const answered = clock.now();
        const trouble = await take(answer, client.place, signal);
        if (trouble === null) attempt.answered();
        else attempt.troubled(trouble);
        if (answer.index <= 0) throw new AgentTrouble(`${client.place} answers without X-Consul-Index`);
        // Going back means that its state was restored from elsewhere: whatever is known is asked for anew, unless it just was.
        index = isBlocking && answer.index < index ? 0 : answer.index;
        // What answers at once, again and again, as where each connection is closed after one answer, is not asked all the time: a pause
        // loses nothing, the next answer has it all.
        const now = hash("sha256", JSON.stringify(answer.body));
        const waited = answered - began;
        const isIdle = now === said && waited < SLOW_MS;
        const isBusy = now !== said && waited < AT_ONCE_MS;
        pause =
          isIdle || isBusy
            ? Math.min(pause * 2, isIdle ? LONGEST_PAUSE_MS : BUSY_PAUSE_MS)
            : SHORTEST_PAUSE_MS;
        said = now;
        const work = Math.min(WORK_SHARE * (clock.now() - answered), LONGEST_PAUSE_MS);
        await sleep(clock, Math.max(pause, work), signal);
      }
    } finally {
      client.close();
    }
  };
}

/** One clause about whatever ended it. */
export function consulTrouble(error: unknown): string {
  return error instanceof AgentTrouble ? error.message : "a fault of Credence's own";
}

function sleep(clock: Clock, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      cancel();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.after(milliseconds, finish);
    signal.addEventListener("abort", finish);
  });
}

/** A connection that is dead without having been closed is found out about this much later. Consul adds up to a sixteenth. */
const WAIT_MS = 60_000;
const SLOW_MS = 10_000;
const FIRST_MS = 30_000;
/** Changes in a row come together. */
const SHORTEST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
const AT_ONCE_MS = 100;
/** While there is something new each time. */
const BUSY_PAUSE_MS = 500;
/** A long list that changes all the time has a tenth of the main thread; what looks like work may be waiting for DNS, or for the processor. */
const WORK_SHARE = 10;
