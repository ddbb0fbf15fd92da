import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HttpSettings } from "../../model/http.ts";
import { pack } from "../../protobuf/any.ts";
import { TrafficDirection } from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import type {
  Listener,
  ListenerSchema,
} from "../../protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import { ProxyProtocolSchema } from "../../protobuf/generated/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import { TlsInspectorSchema } from "../../protobuf/generated/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { DEFAULT_BOUNDS } from "./bounds.ts";
import { duration } from "./duration.ts";
import type { TranslationContext } from "./translation-context.ts";

/** What is open at a port, and what happens to its connections before a filter chain takes them. */
export function listeningSocket(
  { name, address, port }: { readonly name: string; readonly address: string; readonly port: number },
  settings: HttpSettings,
  context: TranslationContext,
  { readsServerName }: { readonly readsServerName: boolean },
): Exclude<MessageInitShape<typeof ListenerSchema>, Listener> {
  return {
    name,
    address: {
      address: {
        case: "socketAddress",
        value: {
          address,
          portSpecifier: { case: "portValue", value: port === 0 ? (context.ports.get(name) ?? 0) : port },
          // As the other engine's socket: every address of the machine, of either family.
          ipv4Compat: address === "::",
        },
      },
    },
    trafficDirection: TrafficDirection.INBOUND,
    perConnectionBufferLimitBytes: 1_048_576,
    listenerFilters: [
      // The PROXY header stands before everything else, and every connection must have one.
      ...(settings.proxyProtocol === true ? [PROXY_PROTOCOL] : []),
      ...(readsServerName ? [TLS_INSPECTOR] : []),
    ],
    // Then the connection is closed: what is not known is not guessed.
    listenerFiltersTimeout: duration((context.bounds ?? DEFAULT_BOUNDS).handshakeTimeoutMs),
    continueOnListenerFiltersTimeout: false,
    tcpBacklogSize: 4096,
  };
}

const PROXY_PROTOCOL = {
  name: "envoy.filters.listener.proxy_protocol",
  configType: {
    case: "typedConfig" as const,
    value: pack(ProxyProtocolSchema, create(ProxyProtocolSchema, {})),
  },
};

const TLS_INSPECTOR = {
  name: "envoy.filters.listener.tls_inspector",
  configType: {
    case: "typedConfig" as const,
    value: pack(TlsInspectorSchema, create(TlsInspectorSchema, {})),
  },
};
