import { create } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../../model/gateway.ts";
import type { TcpChain, TcpListener } from "../../../model/tcp.ts";
import { ListenerSchema } from "../../../protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import { DEFAULT_BOUNDS } from "../bounds.ts";
import { duration } from "../duration.ts";
import { type FilterChainInit, refusingChain, tlsMatch } from "../filter-chains.ts";
import { handshakeLogs, type RefusingChains } from "../handshake-log.ts";
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
    accessLog: readsServerName ? handshakeLogs(listener.name, refusingChains(listener), context) : [],
    filterChains: [
      ...listener.chains
        .filter(({ serverName }) => serverName !== null)
        .map((chain) => namedChain(chain, listener, model, context)),
      ...(rest === undefined && !takesAnyName ? [refusingChain("tls", [])] : []),
    ],
    // Whatever no name is for, TLS or not; without it such a connection is closed.
    ...(rest === undefined
      ? {}
      : {
          defaultFilterChain: {
            name: "rest",
            filters: [tcpProxy(rest, listener.name, model, context)],
            ...chainGeneration(rest, model, context),
          },
        }),
  });
  const from = listener.chains.flatMap(({ destinations }) => destinations.map(({ name }) => name));
  return resource("listener", listener.name, message, [...new Set(from)].sort());
}

/** By the names of their chains. */
function refusingChains({ chains }: TcpListener): RefusingChains {
  const of = (mode: TcpChain["tls"]["mode"]): string[] =>
    chains.flatMap(({ serverName, tls }) => (tls.mode === mode ? [`tls ${serverName}`] : []));
  return { sni_unknown: ["tls", ...of("cleartext")], credential_unavailable: of("refuse") };
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
  if (tls.mode === "refuse" || tls.mode === "cleartext") return refusingChain(name, domains);
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
