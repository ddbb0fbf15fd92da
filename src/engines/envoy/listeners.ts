import { create } from "@bufbuild/protobuf";
import type { GatewayModel } from "../../model/gateway.ts";
import type { Listener, VirtualHost } from "../../model/listener.ts";
import { ListenerSchema } from "../../protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import { DEFAULT_BOUNDS } from "./bounds.ts";
import { duration } from "./duration.ts";
import {
  CHAINS,
  chainMetadata,
  type FilterChainInit,
  plaintextChain,
  refusingChain,
  tlsMatch,
} from "./filter-chains.ts";
import { handshakeLogs } from "./handshake-log.ts";
import { httpConnectionManager } from "./http-connection-manager.ts";
import { listeningSocket } from "./listening-socket.ts";
import { resource, type XdsResource } from "./resources.ts";
import { scopeName } from "./route-scopes.ts";
import { tcpListener } from "./tcp/listener.ts";
import { acceptanceMetadata } from "./tls/acceptance.ts";
import { alpnProtocols } from "./tls/parameters.ts";
import { type TerminateTls, terminatingSocket } from "./tls/termination.ts";
import type { TranslationContext } from "./translation-context.ts";

/** LDS: HTTP and TCP listeners. */
export function translateListeners(
  model: GatewayModel,
  context: TranslationContext,
): XdsResource<"listener">[] {
  return [
    ...model.listeners.map((listener) => httpListener(listener, model, context)),
    ...(model.tcpListeners ?? []).map((listener) => tcpListener(listener, model, context)),
  ];
}

/** A listener whose connections are HTTP, with or without TLS. */
export function httpListener(
  listener: Listener,
  model: GatewayModel,
  context: TranslationContext,
): XdsResource<"listener"> {
  const isTls = listener.transport === "tls";
  const message = create(ListenerSchema, {
    ...listeningSocket(listener, model.http, context, { readsServerName: isTls }),
    ...(isTls
      ? {
          filterChains: tlsChains(listener, model, context),
          accessLog: handshakeLogs(listener.name, model.http, context),
        }
      : { filterChains: [cleartextChain(listener, model, context)] }),
  });
  const from = isTls ? [...new Set(model.virtualHosts.map(({ origin }) => origin))].sort() : [];
  return resource("listener", listener.name, message, from);
}

function cleartextChain(
  listener: Listener,
  model: GatewayModel,
  context: TranslationContext,
): FilterChainInit {
  const scope = { name: scopeName(listener, null), listener, clients: null };
  return {
    name: listener.name,
    filters: [httpConnectionManager(model, context, scope, { speaksHttp2: false })],
  };
}

/** Domains whose handshakes are held in the same way, by certificate, client check and parameters, share a chain. */
function tlsChains(listener: Listener, model: GatewayModel, context: TranslationContext): FilterChainInit[] {
  const managers = new Map<string, FilterChainInit["filters"]>();
  const managerOf = ({ clients, parameters }: TerminateTls): NonNullable<FilterChainInit["filters"]> => {
    const scope = { name: scopeName(listener, clients), listener, clients };
    const speaksHttp2 = alpnProtocols(parameters).includes("h2");
    const key = `${scope.name} ${speaksHttp2}`;
    let filters = managers.get(key);
    if (filters === undefined) {
      filters = [httpConnectionManager(model, context, scope, { speaksHttp2 })];
      managers.set(key, filters);
    }
    return filters;
  };
  const chains = groupByTls(model.virtualHosts).map(({ tls, domains }): FilterChainInit => {
    const name = `tls ${domains[0]}`;
    // A domain that is served in cleartext only is no less its own: no other host's certificate answers for it.
    if (tls.mode !== "terminate") {
      const kind = tls.mode === "refuse" ? CHAINS.refused : CHAINS.cleartext;
      return refusingChain(`${kind} ${domains[0]}`, domains);
    }
    return {
      name,
      filterChainMatch: tlsMatch(domains),
      transportSocket: terminatingSocket(tls),
      transportSocketConnectTimeout: duration((context.bounds ?? DEFAULT_BOUNDS).handshakeTimeoutMs),
      filters: managerOf(tls),
      ...chainMetadata(acceptanceMetadata(tls, context.acceptance)),
    };
  });
  // Names that nobody has, and no name at all.
  const unknown = model.virtualHosts.some(({ domain }) => domain === "*")
    ? []
    : [refusingChain(CHAINS.unknown, [])];
  return [...chains, ...unknown, plaintextChain()];
}

/** In the order of the first domain of each; `*` is alone, as it is matched differently. */
function groupByTls(
  hosts: readonly VirtualHost[],
): { readonly tls: VirtualHost["tls"]; readonly domains: string[] }[] {
  const groups = new Map<string, { tls: VirtualHost["tls"]; domains: string[] }>();
  for (const { domain, tls } of hosts) {
    const shape = tls.mode === "terminate" ? JSON.stringify(tls) : tls.mode;
    const key = domain === "*" ? "*" : shape;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { tls, domains: [domain] });
    else group.domains.push(domain);
  }
  return [...groups.values()];
}
