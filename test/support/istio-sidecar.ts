import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { accepts } from "./static-envoy.ts";
import { findEnvoy } from "../../src/engines/envoy/process/find.ts";

/** A real Envoy as Istio sets up the side-car of a service, with what the SDS socket gives it. */
export interface IstioSidecar {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * `strict` takes mutual TLS alone; `permissive` also cleartext, and tells by ALPN which it is, as Istio does (`istio`, by its
 * clients alone). Answers 200, with the client's URI SAN and the SNI in headers.
 */
export async function startIstioSidecar(
  sdsSocket: string,
  mode: "strict" | "permissive",
): Promise<IstioSidecar> {
  const { path } = await findEnvoy({ environment: process.env });
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "istio-sidecar-"));
  const file = join(folder, "envoy.json");
  writeFileSync(file, JSON.stringify(bootstrap(port, sdsSocket, mode)));
  const child: ChildProcess = spawn(
    path,
    ["-c", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let output = "";
  child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
    output += piece;
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`Envoy ended: ${output}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    port,
    async stop() {
      child.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What Istio's own clients offer in ALPN, and nobody else does. */
const ISTIO_PROTOCOLS = ["istio-peer-exchange", "istio", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

function bootstrap(port: number, sdsSocket: string, mode: "strict" | "permissive"): object {
  const sds = (name: string): object => ({
    name,
    sds_config: {
      resource_api_version: "V3",
      initial_fetch_timeout: "0s",
      api_config_source: {
        api_type: "GRPC",
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "sds-grpc" } }],
      },
    },
  });
  const mutual = {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
      require_client_certificate: true,
      common_tls_context: {
        alpn_protocols: ["istio-peer-exchange", "h2", "http/1.1"],
        tls_params: { tls_minimum_protocol_version: "TLSv1_2" },
        tls_certificate_sds_secret_configs: [sds("default")],
        combined_validation_context: {
          default_validation_context: {
            match_typed_subject_alt_names: [
              { san_type: "URI", matcher: { prefix: "spiffe://cluster.local/" } },
            ],
          },
          validation_context_sds_secret_config: sds("ROOTCA"),
        },
      },
    },
  };
  const chains =
    mode === "strict"
      ? [{ filters: [http()], transport_socket: mutual }]
      : [
          {
            filter_chain_match: { transport_protocol: "tls", application_protocols: ISTIO_PROTOCOLS },
            filters: [http()],
            transport_socket: mutual,
          },
          { filter_chain_match: {}, filters: [http()] },
        ];
  return {
    node: { id: "sidecar~127.0.0.1~orders.shop~shop.svc.cluster.local", cluster: "orders.shop" },
    static_resources: {
      listeners: [
        {
          name: "virtualInbound",
          address: { socket_address: { address: "127.0.0.1", port_value: port } },
          listener_filters: [
            {
              name: "envoy.filters.listener.tls_inspector",
              typed_config: {
                "@type":
                  "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
              },
            },
          ],
          filter_chains: chains,
        },
      ],
      clusters: [
        {
          name: "sds-grpc",
          connect_timeout: "1s",
          typed_extension_protocol_options: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
              "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: "sds-grpc",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: sdsSocket } } } }] }],
          },
        },
      ],
    },
  };
}

function http(): object {
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type":
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      stat_prefix: "inbound",
      route_config: {
        virtual_hosts: [
          {
            name: "all",
            domains: ["*"],
            routes: [
              { match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "ok" } } },
            ],
          },
        ],
        response_headers_to_add: [
          { header: { key: "x-peer", value: "%DOWNSTREAM_PEER_URI_SAN%" }, keep_empty_value: true },
          { header: { key: "x-serial", value: "%DOWNSTREAM_PEER_SERIAL%" }, keep_empty_value: true },
          { header: { key: "x-sni", value: "%REQUESTED_SERVER_NAME%" }, keep_empty_value: true },
        ],
      },
      http_filters: [
        {
          name: "envoy.filters.http.router",
          typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        },
      ],
    },
  };
}
