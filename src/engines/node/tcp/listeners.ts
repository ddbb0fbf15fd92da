import { addressText } from "../../../model/address.ts";
import type { TcpListener } from "../../../model/tcp.ts";
import type { BoundListener, EngineProblem } from "../../engine.ts";
import { NodeTcpListener, type TcpListenerContext } from "./listener.ts";

/** The TCP listeners that are open, by name, which tells address and port. One that cannot be opened hurts no other. */
export class TcpListeners {
  readonly #open = new Map<string, { readonly listener: NodeTcpListener; readonly bound: BoundListener }>();

  get bound(): BoundListener[] {
    return [...this.#open.values()].map(({ bound }) => bound);
  }

  /** What they follow now. */
  get configs(): TcpListener[] {
    return [...this.#open.values()].map(({ listener }) => listener.config);
  }

  /** Opens, changes and closes until `wanted` is what is open. Ports that stay are never closed in between. */
  async apply(wanted: readonly TcpListener[], context: TcpListenerContext): Promise<EngineProblem[]> {
    const names = new Set(wanted.map(({ name }) => name));
    for (const [name, { listener }] of this.#open) {
      if (names.has(name)) continue;
      this.#open.delete(name);
      listener.close();
    }
    // All that is open follows at once, as the plan does that its connections are served by.
    for (const config of wanted) this.#open.get(config.name)?.listener.update(config);
    const problems: EngineProblem[] = [];
    for (const config of wanted) {
      const { name } = config;
      if (this.#open.has(name)) continue;
      const listener = new NodeTcpListener(config, context);
      try {
        this.#open.set(name, { listener, bound: { name, ...(await listener.open()) } });
      } catch (error) {
        const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
        const message = `listener ${name} cannot open ${addressText(config.address, config.port)}: ${reason}`;
        problems.push({ code: "tcp-port-unavailable", subject: name, message });
      }
    }
    return problems;
  }

  onCredentialChange(): void {
    for (const { listener } of this.#open.values()) listener.onCredentialChange();
  }

  close(): void {
    for (const { listener } of this.#open.values()) listener.close();
    this.#open.clear();
  }
}
