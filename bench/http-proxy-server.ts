// `http-proxy` as its documentation sets it up, with an agent that keeps connections. Started by proxies.ts.
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent } from "node:https";
import { createRequire } from "node:module";
import type { CredentialFiles } from "./workspace.ts";

interface Settings {
  readonly port: number;
  readonly upstreamPort: number;
  readonly ca: string;
  readonly server: CredentialFiles;
  readonly client: CredentialFiles;
}

interface ProxyServer {
  on(event: "proxyRes", listener: (response: IncomingMessage) => void): ProxyServer;
  on(event: "error", listener: (error: Error) => void): ProxyServer;
  listen(port: number, host: string): void;
}

// Not imported: the package is installed by `npm run bench` only, and the type check must pass without it.
const { createProxyServer } = createRequire(import.meta.url)("http-proxy") as {
  createProxyServer(options: object): ProxyServer;
};

const settings = JSON.parse(process.argv[2] ?? "") as Settings;
const read = (file: string): string => readFileSync(file, "utf8");
const agent = new Agent({
  keepAlive: true,
  maxFreeSockets: 1024,
  ca: read(settings.ca),
  cert: read(settings.client.certificate),
  key: read(settings.client.key),
  servername: "localhost",
});
createProxyServer({
  target: `https://127.0.0.1:${settings.upstreamPort}`,
  agent,
  secure: true,
  xfwd: true,
  ssl: { cert: read(settings.server.certificate), key: read(settings.server.key) },
  // It hands the client's `Connection: close` on, and with that gives up its upstream connection; the others do not.
  headers: { connection: "keep-alive" },
})
  // … nor may the client hear the upstream's answer to that.
  .on("proxyRes", (response) => {
    delete response.headers.connection;
  })
  .on("error", (error) => console.error(error.message))
  .listen(settings.port, "127.0.0.1");
