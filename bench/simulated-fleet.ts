import type { ClientsMessage, Receipt } from "./fleet-clients.ts";

export interface FleetSize {
  readonly clients: number;
  readonly hosts: number;
  readonly mappings: number;
  readonly contexts: number;
}

/** What the simulated clients have said. */
export class SimulatedFleet {
  receipts: Receipt[] = [];
  readonly #size: FleetSize;
  readonly #holds = new Map<number, Readonly<Record<string, number>>>();

  constructor(size: FleetSize) {
    this.#size = size;
  }

  take(message: ClientsMessage): void {
    this.receipts.push(...message.receipts);
    for (const [client, holds] of message.holds) this.#holds.set(client, holds);
  }

  get isComplete(): boolean {
    const { clients, hosts, mappings, contexts } = this.#size;
    const complete = [...this.#holds.values()].filter(
      (holds) =>
        (holds["virtual-host"] ?? 0) > hosts &&
        (holds.cluster ?? 0) >= mappings &&
        (holds.secret ?? 0) > contexts,
    );
    return complete.length === clients;
  }

  reached(count: number, kind: Receipt["kind"] = "virtual-host"): boolean {
    return (
      new Set(this.receipts.filter((receipt) => receipt.kind === kind).map(({ client }) => client)).size >=
      count
    );
  }
}
