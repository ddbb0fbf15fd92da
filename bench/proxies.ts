import { fileURLToPath } from "node:url";
import { nginxCommand } from "./nginx.ts";
import type { Command } from "./processes.ts";
import type { Workspace } from "./workspace.ts";

export interface Setup {
  readonly workspace: Workspace;
  /** Where the proxy listens, with TLS, on 127.0.0.1. */
  readonly port: number;
  readonly upstreamPort: number;
  /** Where Credence's CPU profiles go; null for none. */
  readonly profileDirectory: string | null;
}

/** In the order of the table. */
export const PROXIES = { nginx, haproxy, "http-proxy": httpProxy, credence } as const;
export type ProxyName = keyof typeof PROXIES;

function nginx({ workspace, port, upstreamPort }: Setup): Command {
  const { ca, server, client } = workspace.files;
  return nginxCommand(
    workspace,
    "nginx",
    `  upstream peer {
    server 127.0.0.1:${upstreamPort};
    keepalive 256;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port} ssl backlog=1024;
    server_name localhost;
    ssl_certificate ${server.certificate};
    ssl_certificate_key ${server.key};
    ssl_session_cache shared:clients:10m;
    location / {
      proxy_pass https://peer;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_max_temp_file_size 0;
      proxy_ssl_certificate ${client.certificate};
      proxy_ssl_certificate_key ${client.key};
      proxy_ssl_trusted_certificate ${ca};
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 2;
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_session_reuse on;
    }
  }`,
  );
}

function haproxy({ workspace, port, upstreamPort }: Setup): Command {
  const { ca, server, client } = workspace.files;
  const config = workspace.write(
    "haproxy/haproxy.cfg",
    `global
  nbthread 1
  maxconn 4096
  tune.ssl.cachesize 20000

defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  http-reuse always
  option forwardfor

frontend clients
  bind 127.0.0.1:${port} ssl crt ${server.both} alpn http/1.1
  http-request set-header X-Forwarded-Proto https
  default_backend peer

backend peer
  server peer 127.0.0.1:${upstreamPort} ssl verify required ca-file ${ca} crt ${client.both} sni str(localhost) verifyhost localhost
`,
  );
  return { file: "haproxy", args: ["-db", "-f", config] };
}

function httpProxy({ workspace, port, upstreamPort }: Setup): Command {
  const { ca, server, client } = workspace.files;
  const settings = { port, upstreamPort, ca, server, client };
  return {
    file: process.execPath,
    args: [
      "--disable-warning=DEP0060",
      fileURLToPath(new URL("http-proxy-server.ts", import.meta.url)),
      JSON.stringify(settings),
    ],
    env: { NODE_ENV: "production" },
  };
}

function credence({ workspace, port, upstreamPort, profileDirectory }: Setup): Command {
  const { ca, server, client } = workspace.files;
  workspace.write(
    "credence/gateway.yaml",
    `apiVersion: getambassador.io/v2
kind: TLSContext
metadata:
  name: clients
spec:
  hosts: [localhost]
  cert_chain_file: ${server.certificate}
  private_key_file: ${server.key}
---
apiVersion: getambassador.io/v2
kind: TLSContext
metadata:
  name: peer
spec:
  hosts: []
  cert_chain_file: ${client.certificate}
  private_key_file: ${client.key}
  cacert_chain_file: ${ca}
---
apiVersion: getambassador.io/v2
kind: Mapping
metadata:
  name: peer
spec:
  prefix: /
  service: https://localhost:${upstreamPort}
  tls: peer
  timeout_ms: 0
`,
  );
  return {
    file: process.execPath,
    args: [
      fileURLToPath(new URL("../bin/credence.js", import.meta.url)),
      "run",
      `${workspace.directory}/credence`,
      ...["--http-port", "0", "--https-port", String(port), "--admin-port", "0"],
      ...["--no-access-log", "--log-level", "error", "--ready-file", `${workspace.directory}/ready.json`],
      "--require-upstream-verification",
    ],
    env: {
      NODE_ENV: "production",
      ...(profileDirectory === null
        ? {}
        : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${JSON.stringify(profileDirectory)}` }),
    },
  };
}
