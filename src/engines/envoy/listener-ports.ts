import { createServer } from "node:net";
import type { GatewayModel } from "../../model/gateway.ts";

/** Ports for listeners that may have any: Envoy's own choice could not be named in redirects and reports. Each keeps its port. */
export class ListenerPorts {
  readonly #chosen = new Map<string, number>();

  /** By listener name, of those that have port 0 in the model. */
  async choose(model: GatewayModel): Promise<ReadonlyMap<string, number>> {
    const open = portless(model);
    for (const { name, address } of open) {
      if (!this.#chosen.has(name)) this.#chosen.set(name, await freePort(address));
    }
    return new Map(open.map(({ name }) => [name, this.#chosen.get(name) as number]));
  }

  /** The port was taken by somebody else in the meantime: another one is chosen next time. */
  forget(name: string): void {
    this.#chosen.delete(name);
  }
}

/** Those that may have any port. */
export function portless(model: GatewayModel): { readonly name: string; readonly address: string }[] {
  return [...model.listeners, ...(model.tcpListeners ?? [])].filter(({ port }) => port === 0);
}

/** One of that address that is free now, by the kernel's choice. */
async function freePort(address: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, address, resolve);
  });
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (bound === null || typeof bound === "string") throw new Error(`no port of ${address} can be had`);
  return bound.port;
}
