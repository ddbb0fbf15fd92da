import type { TestContext } from "node:test";
import { once } from "node:events";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { createServer, type Server, type TlsOptions } from "node:tls";
import { CredentialStore } from "../../src/credentials/store.ts";
import { NOTHING_DISCOVERED } from "../../src/endpoints/discovered.ts";
import { createDnsEndpoints } from "../../src/endpoints/dns.ts";
import type { PeerRules, TlsParameters } from "../../src/model/tls.ts";
import type { ProbeContext } from "../../src/probe/context.ts";
import type { PeerReport } from "../../src/probe/report.ts";
import { probeUpstream } from "../../src/probe/upstream.ts";
import { fingerprint } from "../../src/x509/certificate.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { type Issued, type Issuing, issue, issueCa, NAMES } from "../support/issuing.ts";

export const ROOT: Issued = issueCa({ subject: "peers' root" });
export const CLIENTS: Issued = issueCa({ subject: "clients' root" });

/** A server's certificate for peer.example, sound unless told otherwise. */
export function serverOf(options: Issuing = {}): Issued {
  return issue({ by: ROOT, subject: "server", names: [NAMES.dns("peer.example")], ...options });
}

export const SERVER: Issued = serverOf();
export const CLIENT: Issued = issue({
  by: CLIENTS,
  subject: "gateway",
  names: [NAMES.dns("gateway.example")],
});

export function keyOf({ keys }: Issued): string {
  return keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
}

export function chainOf(...chain: readonly Issued[]): string {
  return chain.map((each) => each.pem).join("");
}

/** What a tls.Server presents. */
export function shows(...chain: readonly [Issued, ...Issued[]]): TlsOptions {
  return { cert: chainOf(...chain), key: keyOf(chain[0]) };
}

/** What a probe has around it, where a test says nothing else. */
export function probeContext(credentials: CredentialStore): ProbeContext {
  return {
    credentials,
    endpoints: createDnsEndpoints({ clock: systemClock }),
    discovered: NOTHING_DISCOVERED,
    issuerTrouble: () => null,
    now: Date.now(),
    timeoutMs: null,
    settleMs: 1000,
    request: null,
    place: (object, field) => `${object}#${field}`,
  };
}

/** A TLS server on a port of its own, until the test ends. */
export async function tlsPeer(
  t: TestContext,
  {
    onServer,
    answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
    ...options
  }: TlsOptions & { readonly onServer?: (server: Server) => void; readonly answer?: string },
): Promise<number> {
  const server = createServer(options, (socket) => {
    socket.on("error", ignore);
    socket.once("data", () => socket.end(answer));
  });
  server.on("tlsClientError", ignore);
  onServer?.(server);
  return listen(t, server);
}

/** Whatever a test wants to do with a connection. */
export async function rawPeer(t: TestContext, serve: (socket: Socket) => void): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on("error", ignore);
    serve(socket);
  });
  return listen(t, server);
}

export interface Gateway {
  readonly host?: string;
  readonly cleartext?: boolean;
  /** The name that is dialled and verified. */
  readonly name?: string;
  readonly sni?: string | null;
  readonly trust?: readonly Issued[] | null;
  readonly client?: readonly [Issued, ...Issued[]];
  readonly rules?: PeerRules;
  /** Of SPIFFE trust domains: SHA-256 of those of `trust` that vouch for each. */
  readonly domains?: ReadonlyMap<string, ReadonlySet<string>> | undefined;
  /** PEM of revocation lists, which are asked for where they are given. */
  readonly lists?: readonly string[];
  readonly parameters?: Partial<TlsParameters>;
  readonly context?: Partial<ProbeContext>;
  readonly timeoutMs?: number;
}

/** Probes a port of the loopback as a gateway that is set up so. */
export async function probePort(port: number, gateway: Gateway = {}): Promise<PeerReport> {
  const { host = "127.0.0.1", name = "peer.example", sni = name, trust = [ROOT], client, lists } = gateway;
  const rules = {
    ...gateway.rules,
    ...(lists === undefined
      ? {}
      : {
          revocation: { crl: "secret/default/up", policy: "require" as const, ...gateway.rules?.revocation },
        }),
  };
  const store = new CredentialStore(systemClock);
  const origin = { subject: { kind: "Secret", namespace: "default", name: "up" } };
  store.offer(
    "secret/default/up",
    {
      ...(trust === null ? {} : { trustAnchors: chainOf(...trust) }),
      ...(trust === null || gateway.domains === undefined
        ? {}
        : { trustDomains: bundlesOf(gateway.domains, trust) }),
      ...(lists === undefined || lists.length === 0 ? {} : { crl: lists.join("") }),
      ...(client === undefined ? {} : { certificateChain: chainOf(...client), privateKey: keyOf(client[0]) }),
    },
    origin,
  );
  const parameters = {
    minVersion: "v1.2",
    maxVersion: "v1.3",
    cipherSuites: [],
    groups: [],
    alpn: [],
    ...gateway.parameters,
  } as const;
  try {
    return await probeUpstream(
      {
        users: ["mapping/default/quote"],
        cluster: {
          name: "quote",
          service: { host, port },
          connectTimeoutMs: gateway.timeoutMs ?? 3000,
          tls:
            gateway.cleartext === true
              ? { mode: "cleartext" }
              : {
                  mode: "originate",
                  context: "default/up",
                  ...(client === undefined ? {} : { credential: "secret/default/up" }),
                  verification:
                    trust === null
                      ? { mode: "none" }
                      : {
                          mode: "chain-and-name",
                          trust: "secret/default/up",
                          name,
                          rules,
                        },
                  ...(sni === null ? {} : { sni }),
                  parameters,
                },
        },
      },
      { ...probeContext(store), ...gateway.context },
    );
  } finally {
    store.close();
  }
}

function bundlesOf(
  domains: NonNullable<Gateway["domains"]>,
  trust: readonly Issued[],
): Readonly<Record<string, string>> {
  const of = (sha256: ReadonlySet<string>): string =>
    chainOf(...trust.filter(({ certificate }) => sha256.has(fingerprint(certificate))));
  return Object.fromEntries(
    [...domains].map(([domain, sha256]) => [domain, of(sha256)]).filter(([, bundle]) => bundle !== ""),
  );
}

const ignore = (): void => {};

async function listen(
  t: TestContext,
  server: ReturnType<typeof createTcpServer> | ReturnType<typeof createServer>,
): Promise<number> {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
