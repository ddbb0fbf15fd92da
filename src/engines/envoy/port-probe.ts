import { createServer } from "node:net";
import { addressText } from "../../model/address.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import type { BoundListener, EngineProblem } from "../engine.ts";

/**
 * The listeners whose port somebody else has. Envoy's sockets share their port (SO_REUSEPORT), so that of two Envoys on one
 * port neither would hear of the other, and each would get a part of the connections: we ask for it without sharing.
 */
export async function portProblems(
  listeners: readonly BoundListener[],
  own: ReadonlySet<number>,
  tcp: ReadonlySet<string>,
): Promise<EngineProblem[]> {
  const problems = await Promise.all(
    listeners
      .filter(({ port }) => !own.has(port))
      .map(async ({ name, address, port }): Promise<EngineProblem | null> => {
        const fault = await whyNotBound(address, port);
        if (fault === null) return null;
        const message = `listener ${name} cannot open ${addressText(address, port)}: ${fault}`;
        return { code: unavailable(name, tcp), subject: name, message };
      }),
  );
  return problems.filter((problem) => problem !== null);
}

/** A TCPMapping's port costs its TCPMappings alone. `tcp`: names of TCP listeners. */
export function unavailable(name: string, tcp: ReadonlySet<string>): string {
  return tcp.has(name) ? "tcp-port-unavailable" : "listener-port-unavailable";
}

/** The model without listeners of these names. */
export function withoutListeners(model: GatewayModel, names: ReadonlySet<string>): GatewayModel {
  if (names.size === 0) return model;
  const { tcpListeners } = model;
  return {
    ...model,
    listeners: model.listeners.filter(({ name }) => !names.has(name)),
    ...(tcpListeners === undefined
      ? {}
      : { tcpListeners: tcpListeners.filter(({ name }) => !names.has(name)) }),
  };
}

/** Whether a listener's port could be had at this moment. */
export async function isFree({ address, port }: BoundListener): Promise<boolean> {
  return (await whyNotBound(address, port)) === null;
}

function whyNotBound(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}
