import type { Clock } from "../../telemetry/clock.ts";
import type { BoundListener, EngineProblem } from "../engine.ts";
import { isFree, portProblems } from "./port-probe.ts";

/**
 * The ports of own Envoy processes. Envoy acknowledges that a listener goes before its workers have closed it: until then the
 * port is in use, by nobody else, and a listener that comes back gets it.
 */
export class OwnPorts {
  readonly #clock: Clock;
  #open: readonly BoundListener[] = [];
  /** Given up, and not seen closed yet. An Envoy that is frozen has them until it goes on. */
  #closing: readonly BoundListener[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The listeners whose port somebody else has. `tcp`: names of TCP listeners. */
  async problems(
    wanted: readonly BoundListener[],
    tcp: ReadonlySet<string>,
  ): Promise<readonly EngineProblem[]> {
    this.#closing = await notFree(this.#closing);
    const own = new Set([...this.#open, ...this.#closing].map(({ port }) => port));
    return portProblems(wanted, own, tcp);
  }

  /** These are open from now on. Resolves when others that were so are closed, or after a while. */
  async become(open: readonly BoundListener[]): Promise<void> {
    const ports = new Set(open.map(({ port }) => port));
    const before = this.#closing.filter(({ port }) => !ports.has(port));
    let closing = this.#open.filter(({ port }) => !ports.has(port));
    this.#open = open;
    this.#closing = [...before, ...closing];
    const end = this.#clock.now() + CLOSED_WITHIN_MS;
    for (;;) {
      closing = await notFree(closing);
      this.#closing = [...before, ...closing];
      // Whoever took it meanwhile is told of by Envoy, should it be asked for again.
      if (closing.length === 0 || this.#clock.now() >= end) return;
      await new Promise<void>((resolve) => this.#clock.after(POLL_MS, resolve));
    }
  }
}

async function notFree(listeners: readonly BoundListener[]): Promise<BoundListener[]> {
  const free = await Promise.all(listeners.map(isFree));
  return listeners.filter((_, index) => free[index] === false);
}

const CLOSED_WITHIN_MS = 2000;
const POLL_MS = 20;
