/** How long an Envoy may be silent. Counted in questions, not by the clock: a machine that slept has missed none. */
export interface Patience {
  /** How long an answer may take, and how often is asked. */
  readonly questionMs: number;
  /** So many questions without an answer, and it is said. */
  readonly reportAfter: number;
  /** So many, and the process is killed; null: never. */
  readonly killAfter: number | null;
}

/** A process that is killed after so many milliseconds without an answer; 0: never. */
export function patienceOf(milliseconds: number): Patience {
  const questionMs =
    milliseconds === 0 ? LONGEST_QUESTION_MS : Math.min(LONGEST_QUESTION_MS, milliseconds / 6);
  return {
    questionMs,
    reportAfter: 2,
    killAfter: milliseconds === 0 ? null : Math.ceil(milliseconds / questionMs),
  };
}

const LONGEST_QUESTION_MS = 5_000;

export interface PulseEvents {
  /** It has the configuration that it waited for, or answers again. */
  onLive(): void;
  /** It has not answered for long enough that it is said. */
  onSilent(): void;
  /** Nor for so long that it should be ended. */
  onLost(): void;
}

/** What Envoy's admin interface says: it serves, it is on its way there, there is none, or it accepts and says nothing. */
export type Answer = "live" | "initializing" | "unreachable" | "silence";

/** Asks until `isOver`: a process that is stopped, or whose main thread hangs, has a pid and open ports, and takes no configuration. */
export async function watchPulse(
  ask: (timeoutMs: number) => Promise<Answer>,
  { questionMs, reportAfter, killAfter }: Patience,
  events: PulseEvents,
  isOver: () => boolean,
): Promise<void> {
  let unanswered = 0;
  let isLive = false;
  while (!isOver()) {
    const answer = await ask(questionMs);
    if (isOver()) return;
    if (answer === "silence") {
      unanswered++;
      if (unanswered === reportAfter) {
        isLive = false;
        events.onSilent();
      }
      if (unanswered === killAfter) events.onLost();
      continue;
    }
    unanswered = 0;
    if (answer === "live" && !isLive) {
      isLive = true;
      events.onLive();
    }
    await new Promise((resolve) => setTimeout(resolve, isLive ? questionMs : START_POLL_MS).unref());
  }
}

const START_POLL_MS = 25;
