import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../../model/gateway.ts";
import type { TcpChain, TcpDestination } from "../../../model/tcp.ts";
import { pack } from "../../../protobuf/any.ts";
import type { FilterSchema } from "../../../protobuf/generated/envoy/config/listener/v3/listener_components_pb.js";
import {
  TcpProxySchema,
  UpstreamConnectMode,
} from "../../../protobuf/generated/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { tcpAccessLogs } from "../access-log.ts";
import { duration } from "../duration.ts";
import { logServices } from "../outside-services.ts";
import type { TranslationContext } from "../translation-context.ts";
import { clusterOf } from "./destination.ts";

/** Passes the connections of a chain on, each to one destination by weight. */
export function tcpProxy(
  { destinations, tls }: TcpChain,
  listener: string,
  model: GatewayModel,
  context: TranslationContext,
): MessageInitShape<typeof FilterSchema> {
  const shares = destinations.filter(({ weight }) => weight > 0);
  const reached = shares.length > 0 ? shares : destinations;
  const [only] = reached as [TcpDestination];
  const proxy = create(TcpProxySchema, {
    statPrefix: listener,
    clusterSpecifier:
      reached.length === 1
        ? { case: "cluster", value: clusterOf(only) }
        : {
            case: "weightedClusters",
            value: { clusters: reached.map((each) => ({ name: clusterOf(each), weight: each.weight })) },
          },
    ...(tls.mode === "terminate" ? AFTER_HANDSHAKE : {}),
    // One attempt: bytes that a service took are not said to another.
    maxConnectAttempts: 1,
    idleTimeout: duration(shortestIdle(reached)),
    accessLog: [...tcpAccessLogs(listener, reached, context), ...logServices(model, "tcp")],
  });
  return {
    name: "envoy.filters.network.tcp_proxy",
    configType: { case: "typedConfig", value: pack(TcpProxySchema, proxy) },
  };
}

/** Envoy would open the upstream's connection at once: before a client has shown that it may come in. */
const AFTER_HANDSHAKE = {
  upstreamConnectMode: UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE,
  maxEarlyDataBytes: 65_536,
};

/** Envoy has one for all destinations of a chain; 0: no limit, an hour where nothing is said. */
function shortestIdle(destinations: readonly TcpDestination[]): number {
  const written = destinations.map(({ action }) =>
    action.kind === "forward" ? (action.idleTimeoutMs ?? DEFAULT_IDLE_MS) : DEFAULT_IDLE_MS,
  );
  const limits = written.filter((milliseconds) => milliseconds > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}

const DEFAULT_IDLE_MS = 3_600_000;
