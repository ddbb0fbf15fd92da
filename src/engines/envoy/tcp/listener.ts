import { create } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../../model/gateway.ts";
import type { TcpChain, TcpListener } from "../../../model/tcp.ts";
import { ListenerSchema } from "../../../protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import { DEFAULT_BOUNDS } from "../bounds.ts";
import { duration } from "../duration.ts";
import { CHAINS, type FilterChainInit, refusingChain, tlsMatch } from "../filter-chains.ts";
import { handshakeLogs } from "../handshake-log.ts";
import { listeningSocket } from "../listening-socket.ts";
import { resource, type XdsResource } from "../resources.ts";
import { terminatingSocket } from "../tls/termination.ts";
import type { TranslationContext } from "../translation-context.ts";
import { chainGeneration } from "./generation.ts";
import { tcpProxy } from "./proxy.ts";

/** A port whose connections are passed on byte by byte: a chain for each TCPMapping group, by server name. */
export function tcpListener(
  listener: TcpListener,
  model: GatewayModel,
  context: TranslationContext,
): XdsResource<"listener"> {
  const readsServerName = listener.chains.some(({ serverName }) => serverName !== null);
  const rest = listener.chains.find(({ serverName }) => serverName === null);
  const takesAnyName = listener.chains.some(({ serverName }) => serverName === "*");
  const message = create(ListenerSchema, {
    ...listeningSocket(listener, model.http, context, { readsServerName }),
    accessLog: readsServerName ? handshakeLogs(listener.name, model.http, context) : [],
    filterChains: [
      ...listener.chains
        .filter(({ serverName }) => serverName !== null)
        .map((chain) => namedChain(chain, listener, model, context)),
      ...(rest === undefined && !takesAnyName ? [refusingChain(CHAINS.unknown, [])] : []),
    ],
    // Whatever no name is for, TLS or not; without it such a connection is closed.
    ...(rest === undefined
      ? {}
      : {
          defaultFilterChain: {
            name: CHAINS.rest,
            filters: [tcpProxy(rest, listener.name, model, context)],
            ...chainGeneration(rest, model, context),
          },
        }),
  });
  const from = listener.chains.flatMap(({ destinations }) => destinations.map(({ name }) => name));
  return resource("listener", listener.name, message, [...new Set(from)].sort());
}

function namedChain(
  chain: TcpChain,
  listener: TcpListener,
  model: GatewayModel,
  context: TranslationContext,
): FilterChainInit {
  const { serverName, tls } = chain;
  const name = `tls ${serverName}`;
  const domains = [serverName as string];
  if (tls.mode === "refuse") return refusingChain(`${CHAINS.refused} ${serverName}`, domains);
  if (tls.mode === "cleartext") return refusingChain(`${CHAINS.cleartext} ${serverName}`, domains);
  return {
    name,
    filterChainMatch: tlsMatch(domains),
    ...(tls.mode === "passthrough"
      ? {}
      : {
          transportSocket: terminatingSocket(tls),
          transportSocketConnectTimeout: duration((context.bounds ?? DEFAULT_BOUNDS).handshakeTimeoutMs),
        }),
    filters: [tcpProxy(chain, listener.name, model, context)],
    ...chainGeneration(chain, model, context),
  };
}
