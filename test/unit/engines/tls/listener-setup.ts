import type { Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { CredentialStore } from "../../../../src/credentials/store.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../../src/engines/node/limits.ts";
import { type AcceptedConnection, NodeListener } from "../../../../src/engines/node/listener.ts";
import { VirtualHostTable } from "../../../../src/engines/node/virtual-hosts.ts";
import type { VirtualHost } from "../../../../src/model/listener.ts";
import type { ClientAuth, ServerTls, TlsParameters } from "../../../../src/model/tls.ts";
import { systemClock } from "../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import { type Authority, createAuthority, type IssuedCertificate } from "../../../../src/x509/authority.ts";

export const PARAMETERS: TlsParameters = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
};
export const NO_CLIENTS: ClientAuth = { mode: "none" };
export const OPTIONAL: ClientAuth = { mode: "optional", trust: "clients" };
export const REQUIRED: ClientAuth = { mode: "required", trust: "clients" };

/** A host that is served with the credential of the same name. */
export function host(
  domain: string,
  clients = NO_CLIENTS,
  parameters: Partial<TlsParameters> = {},
): VirtualHost {
  return virtualHost(domain, {
    mode: "terminate",
    credential: domain,
    clients,
    parameters: { ...PARAMETERS, ...parameters },
  });
}

export function virtualHost(domain: string, tls: ServerTls): VirtualHost {
  return { domain, origin: `tlscontext/default/${domain}`, tls, cleartext: "reject" };
}

export interface Setup {
  readonly port: number;
  readonly listener: NodeListener;
  readonly store: CredentialStore;
  readonly accepted: AcceptedConnection[];
  /** The certificate that clients may show, one of a CA that nobody trusts, and the CAs. */
  readonly client: IssuedCertificate;
  readonly strangersClient: IssuedCertificate;
  readonly ca: Authority;
  readonly stranger: Authority;
  update(...hosts: VirtualHost[]): void;
  /** A new certificate for a name, under the domain's credential. */
  issue(domain: string, commonName?: string): Promise<void>;
  close(): Promise<void>;
}

let authorities: Promise<[Authority, Authority]> | undefined;

/** A TLS listener on a real credential store, which holds a certificate for each host, and the CA of the clients. */
export async function setUp(
  hosts: readonly VirtualHost[],
  limits: Partial<Limits> = {},
  port = 0,
): Promise<Setup> {
  authorities ??= Promise.all([createAuthority("test CA"), createAuthority("stranger CA")]);
  const [ca, stranger] = await authorities;
  const store = new CredentialStore(systemClock);
  const issue = async (domain: string, commonName = domain): Promise<void> => {
    const issued = await ca.issue({ commonName, dnsNames: ["names.test"], usage: "server" });
    const material = { certificateChain: issued.certificate, privateKey: issued.privateKey };
    store.offer(domain, material, ORIGIN);
  };
  for (const { domain, tls } of hosts) if (tls.mode === "terminate") await issue(domain);
  store.offer("clients", { trustAnchors: ca.certificate }, ORIGIN);
  const accepted: AcceptedConnection[] = [];
  const open = new Set<Socket>();
  const listener = new NodeListener(
    { name: "https", address: "127.0.0.1", port, transport: "tls", action: "serve" },
    {
      hosts: new VirtualHostTable(hosts),
      credentials: store,
      limits: { ...DEFAULT_LIMITS, ...limits },
      logger: createLogger("silent"),
      mayAccept: () => true,
      onConnection: (connection) => {
        accepted.push(connection);
        const { socket } = connection;
        open.add(socket);
        socket.on("error", () => undefined);
        socket.on("data", (bytes) => socket.write(bytes));
        socket.on("end", () => socket.end());
      },
    },
  );
  store.onChange((change) => listener.onCredentialChange(change));
  return {
    ...(await listener.open()),
    listener,
    store,
    accepted,
    client: await ca.issue({ commonName: "client", usage: "client" }),
    strangersClient: await stranger.issue({ commonName: "client", usage: "client" }),
    ca,
    stranger,
    issue,
    update: (...next) => listener.update(new VirtualHostTable(next)),
    close: async () => {
      store.close();
      for (const socket of open) socket.destroy();
      await listener.close();
    },
  };
}

export const ORIGIN = { subject: { kind: "Secret", namespace: "default", name: "test" } };

/** What a client saw. `echoed`: the connection was accepted, and speaks. */
export interface Handshake {
  readonly echoed: boolean;
  readonly subject: string | undefined;
  readonly resumed: boolean;
  readonly version: string | null;
  readonly cipher: string | null;
  readonly error: string | null;
  readonly session: Buffer | undefined;
}

export function handshake(port: number, options: ConnectionOptions = {}): Promise<Handshake> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
    const seen = {
      echoed: false,
      subject: undefined as string | undefined,
      resumed: false,
      version: null as string | null,
      cipher: null as string | null,
      error: null as string | null,
      session: undefined as Buffer | undefined,
    };
    socket.on("session", (session: Buffer) => {
      seen.session = session;
    });
    socket.on("secureConnect", () => {
      seen.subject = socket.getPeerX509Certificate()?.subject;
      seen.resumed = socket.isSessionReused();
      seen.version = socket.getProtocol();
      seen.cipher = socket.getCipher().name;
      socket.write("ping");
    });
    socket.on("data", () => {
      seen.echoed = true;
      // A TLS 1.2 session is complete by now, and TLS 1.3 tickets come before the first byte of data.
      setImmediate(() => socket.destroy());
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      seen.error = error.code ?? error.message;
    });
    socket.on("close", () => resolve(seen));
  });
}

/** Waits for the client's side of a connection that is to stay open. */
export function connected(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options }, () =>
      resolve(socket),
    );
    socket.on("error", reject);
  });
}
