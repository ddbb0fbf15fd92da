import { isIP } from "node:net";
import { canonicalAddress } from "../../../x509/address.ts";
import type { JsonObject } from "./json.ts";

/** What a bootstrap is made of. No key is among it: files of keys are named, and Envoy reads them. */
export interface BootstrapOptions {
  /** Unique among the Envoys of a control plane. */
  readonly nodeId: string;
  /** Who runs as one fleet; in logs and pages. */
  readonly nodeCluster: string;
  readonly xds: XdsPlace;
  /** Envoy's own admin interface, which can end it and read much: never open to the network. */
  readonly admin: { readonly socket: string } | { readonly loopbackPort: number } | null;
  /** Whom c-ares asks, `ADDRESS:PORT`; none: the system's resolv.conf. */
  readonly dnsResolvers?: readonly string[];
  /** Client connections at once; further ones are closed as they come. */
  readonly maxConnections?: number;
}

export type XdsPlace =
  /** In a private folder: who may open it is let in. */
  | { readonly socket: string }
  /** Mutual TLS with files that are read again when they change. */
  | { readonly host: string; readonly port: number; readonly tls: XdsTlsFiles };

export interface XdsTlsFiles {
  /** PEM: who the control plane's certificate must chain to. */
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
  /** A name in the control plane's certificate; default: `host`. */
  readonly serverName?: string;
  /** Files of `sdsFiles`, by which Envoy follows changes of the three above; absent: it reads them once. */
  readonly sds?: { readonly identity: string; readonly trust: string };
}

/** Static cluster that leads to Credence: of the xDS stream, and of the stream of failures. */
export const OWN_CLUSTER = "credence";

/** An Envoy's start: where its control plane is, and what cannot come over xDS. */
export function bootstrapOf(options: BootstrapOptions): JsonObject {
  const { nodeId, nodeCluster, admin, dnsResolvers = [], maxConnections } = options;
  return {
    node: { id: nodeId, cluster: nodeCluster },
    ...(admin === null ? {} : { admin: adminOf(admin) }),
    dynamic_resources: {
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        // The node is some KiB: once a stream is enough.
        set_node_on_first_message_only: true,
        grpc_services: [
          {
            envoy_grpc: {
              cluster_name: OWN_CLUSTER,
              // By default Envoy waits up to 30 s before it connects again to a control plane that was started anew. Each wait is
              // drawn from nought to a bound that doubles, so that a fleet does not come at once.
              retry_policy: { retry_back_off: { base_interval: "0.5s", max_interval: "5s" } },
            },
          },
        ],
      },
      // An Envoy without its first clusters and listeners serves nothing: it waits for them, and is not LIVE until then.
      cds_config: { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" },
      lds_config: { ads: {}, resource_api_version: "V3", initial_fetch_timeout: "0s" },
    },
    static_resources: { clusters: [ownCluster(options.xds)] },
    typed_dns_resolver_config: caresAsking(dnsResolvers),
    layered_runtime: RUNTIME,
    // By default all statistics are gone through every five seconds for sinks that there are not: of ten thousand clusters that is
    // 150 ms of the main thread, which a change waits for. So it is done for who asks.
    stats_flush_on_admin: true,
    ...(maxConnections === undefined ? {} : { overload_manager: bounded(maxConnections) }),
  };
}

/** Flags of Envoy that every bootstrap sets, static ones too. */
export const RUNTIME: JsonObject = {
  layers: [
    {
      name: "credence",
      static_layer: {
        // A chunk ends in CRLF and is as long as it says (RFC 9112 §7.1); by default Envoy takes others too.
        "envoy.reloadable_features.strict_chunk_parsing": true,
        // A header on several lines is one value (RFC 9110 §5.3): else a second line passes a match on the first.
        "envoy.reloadable_features.match_headers_individually": false,
        // The bound of RE2's programs is 100 by default, which people's patterns exceed; the size is Credence's to judge.
        re2: { max_program_size: { error_level: 100_000, warn_level: 100_000 } },
      },
    },
  ],
};

function adminOf(admin: NonNullable<BootstrapOptions["admin"]>): JsonObject {
  return {
    address:
      "socket" in admin
        ? { pipe: { path: admin.socket, mode: 0o600 } }
        : { socket_address: { address: "127.0.0.1", port_value: admin.loopbackPort } },
    // A gateway that is full can still be asked and drained.
    ignore_global_conn_limit: true,
  };
}

/** The cluster that every bootstrap has, static ones too. */
export function ownCluster(xds: XdsPlace): JsonObject {
  const byName = !("socket" in xds) && isIP(xds.host) === 0;
  return {
    name: OWN_CLUSTER,
    type: byName ? "STRICT_DNS" : "STATIC",
    // By default Envoy goes to the IPv6 address alone where a name has both, and `localhost` has.
    ...(byName ? { dns_lookup_family: "ALL" } : {}),
    connect_timeout: "5s",
    load_assignment: {
      cluster_name: OWN_CLUSTER,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: addressOf(xds) } }] }],
    },
    ...("socket" in xds ? {} : { transport_socket: mutualTls(xds.host, xds.tls) }),
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: {
          http2_protocol_options: {
            // A control plane that vanished without a word is noticed, and its stream opened anew.
            connection_keepalive: { interval: "15s", timeout: "5s" },
          },
        },
      },
    },
  };
}

function addressOf(xds: XdsPlace): JsonObject {
  return "socket" in xds
    ? { pipe: { path: xds.socket } }
    : { socket_address: { address: xds.host, port_value: xds.port } };
}

function mutualTls(host: string, files: XdsTlsFiles): JsonObject {
  const { serverName = host, sds } = files;
  const isAddress = isIP(serverName) !== 0;
  const verified = {
    match_typed_subject_alt_names: [
      // Envoy compares texts, and writes addresses in their shortest form.
      { san_type: isAddress ? "IP_ADDRESS" : "DNS", matcher: { exact: canonicalAddress(serverName) } },
    ],
  };
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
      // A name only: an address is never sent as one (RFC 6066 §3).
      ...(isAddress ? {} : { sni: serverName }),
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: "TLSv1_2", tls_maximum_protocol_version: "TLSv1_3" },
        alpn_protocols: ["h2"],
        ...(sds === undefined
          ? {
              tls_certificates: [certificateIn(files)],
              validation_context: { ...trustIn(files), ...verified },
            }
          : {
              tls_certificate_sds_secret_configs: [secretIn("identity", sds.identity)],
              combined_validation_context: {
                default_validation_context: verified,
                validation_context_sds_secret_config: secretIn("trust", sds.trust),
              },
            }),
      },
    },
  };
}

/** What the two files of `sds` hold: the names of the others. Envoy watches the folders of those for files renamed into them. */
export function sdsFiles(files: XdsTlsFiles): { readonly identity: JsonObject; readonly trust: JsonObject } {
  const response = (name: string, secret: JsonObject): JsonObject => ({
    resources: [
      { "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", name, ...secret },
    ],
  });
  return {
    identity: response("identity", { tls_certificate: certificateIn(files) }),
    trust: response("trust", { validation_context: trustIn(files) }),
  };
}

function secretIn(name: string, path: string): JsonObject {
  return { name, sds_config: { path_config_source: { path }, resource_api_version: "V3" } };
}

function certificateIn({ certificate, privateKey }: XdsTlsFiles): JsonObject {
  return { certificate_chain: { filename: certificate }, private_key: { filename: privateKey } };
}

function trustIn({ ca }: XdsTlsFiles): JsonObject {
  return { trusted_ca: { filename: ca } };
}

/**
 * A name that is not answered for must not hold up the others: Envoy opens no listener until each of its first clusters was
 * answered for or given up, by default after more than half a minute.
 */
function caresAsking(resolvers: readonly string[]): JsonObject {
  return {
    name: "envoy.network.dns_resolver.cares",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig",
      resolvers: resolvers.map((resolver) => {
        const { hostname, port } = new URL(`dns://${resolver}`);
        const address = hostname.replace(/^\[|\]$/g, "");
        return { socket_address: { address, port_value: port === "" ? 53 : Number(port) } };
      }),
      query_timeout_seconds: 2,
      query_tries: 2,
    },
  };
}

function bounded(maxConnections: number): JsonObject {
  return {
    resource_monitors: [
      {
        name: "envoy.resource_monitors.global_downstream_max_connections",
        typed_config: {
          "@type":
            "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
          max_active_downstream_connections: maxConnections,
        },
      },
    ],
  };
}
