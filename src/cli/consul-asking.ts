import type { Environment } from "../mesh/consul/agent-environment.ts";
import type { SocketDial } from "../protobuf/socket-dial.ts";
import { boundedDial } from "./bounded-dial.ts";
import { consulEnvironment, isOperatorsAgent } from "./consul-environment.ts";
import type { GroupBounds } from "./group-bounds.ts";

/** How a Consul at `address` is asked: with what of the environment, and over which sockets. The operator's own agent may be anywhere. */
export function consulAsking(
  address: string,
  bounds: GroupBounds,
): { readonly env: Environment; readonly dial: SocketDial | undefined } {
  return {
    env: consulEnvironment(address, bounds),
    dial: isOperatorsAgent(address) ? undefined : boundedDial(bounds),
  };
}
