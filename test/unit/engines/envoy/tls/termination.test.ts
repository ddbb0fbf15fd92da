import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { translateListeners } from "../../../../../src/engines/envoy/listeners.ts";
import { routeScopes } from "../../../../../src/engines/envoy/route-scopes.ts";
import type { GatewayModel } from "../../../../../src/model/gateway.ts";
import type { ClientAuth, TlsParameters } from "../../../../../src/model/tls.ts";
import { createAuthority } from "../../../../../src/x509/authority.ts";
import { freePort } from "../../../../support/free-port.ts";
import {
  answering,
  credentialSecret,
  HTTP,
  type StaticEnvoy,
  startStaticEnvoy,
  trustSecret,
} from "../../../../support/static-envoy.ts";

let envoy: StaticEnvoy;
let port = 0;
let identity: { cert: string; key: string };

const DEFAULTS: TlsParameters = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
};

const NONE: ClientAuth = { mode: "none" };

/** By server name: the client check, the parameters, the key. */
const HOSTS: Readonly<
  Record<string, { clients?: ClientAuth; parameters?: TlsParameters; keyType?: "ec" | "ed25519" }>
> = {
  "plain.example": {},
  "other.example": { parameters: { ...DEFAULTS, groups: ["X25519", "P-256"] } },
  "checked.example": { clients: { mode: "required", trust: "ca" } },
  "asked.example": { clients: { mode: "optional", trust: "ca" } },
  "ed25519.example": { keyType: "ed25519" },
  "old.example": {
    parameters: {
      ...DEFAULTS,
      minVersion: "v1.2",
      maxVersion: "v1.2",
      cipherSuites: ["ECDHE-ECDSA-AES256-GCM-SHA384"],
    },
  },
  "h2.example": { parameters: { ...DEFAULTS, alpn: ["h2", "http/1.1"] } },
};

before(async () => {
  port = await freePort();
  const ca = await createAuthority("CA");
  const issued = await ca.issue({ commonName: "client", usage: "client" });
  identity = { cert: issued.certificate, key: issued.privateKey };
  const secrets: Record<string, ReturnType<typeof trustSecret>> = { "trust:ca": trustSecret(ca.certificate) };
  for (const [name, { keyType = "ec" }] of Object.entries(HOSTS))
    secrets[`credential:${name}`] = credentialSecret(
      await ca.issue({ commonName: name, dnsNames: [name], usage: "server", keyType }),
    );
  const model: GatewayModel = {
    http: HTTP,
    listeners: [{ name: "https", address: "127.0.0.1", port, transport: "tls", action: "serve" }],
    virtualHosts: Object.entries(HOSTS).map(([domain, { clients = NONE, parameters = DEFAULTS }]) => ({
      domain,
      origin: "host/default/test",
      tls: { mode: "terminate", credential: domain, clients, parameters: { ...DEFAULTS, ...parameters } },
      cleartext: "reject",
    })),
    routes: [],
    clusters: [],
  };
  const routes = routeScopes(model).map(({ name }) => answering(name));
  const listeners = translateListeners(model, { generations: new Map(), ports: new Map() });
  envoy = await startStaticEnvoy([...listeners, ...routes], { ports: [port], secrets });
});
after(() => envoy?.stop());

test("the hybrid group is taken first, and a context's own groups in its order", async () => {
  assert.equal(await groupOf("plain.example", "X25519MLKEM768:X25519:P-256"), "X25519MLKEM768");
  assert.equal(await groupOf("plain.example", "P-384"), "secp384r1");
  assert.equal(await groupOf("other.example", "X25519MLKEM768:P-256"), "prime256v1");
});

test("versions and ciphers are those of the context", async () => {
  const { socket } = await handshake("old.example");
  assert.equal(socket.getProtocol(), "TLSv1.2");
  assert.equal(socket.getCipher().name, "ECDHE-ECDSA-AES256-GCM-SHA384");
  socket.destroy();
  await assert.rejects(handshake("old.example", { ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" }));
  await assert.rejects(
    handshake("plain.example", { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "ALL:@SECLEVEL=0" }),
  );
});

test("an Ed25519 certificate is shown", async () => {
  const { socket } = await handshake("ed25519.example");
  assert.equal(socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType, "ed25519");
  socket.destroy();
});

for (const [name, ALPNProtocols, expected] of [
  ["plain.example", ["h2", "http/1.1"], "http/1.1"],
  ["h2.example", ["h2", "http/1.1"], "h2"],
] as const) {
  test(`${name} chooses ${expected}`, async () => {
    const { socket } = await handshake(name, { ALPNProtocols: [...ALPNProtocols] });
    assert.equal(socket.alpnProtocol, expected);
    socket.destroy();
  });
}

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`${maxVersion}: a session is resumed for its own host and no other, and never past a client check`, async () => {
    const session = await sessionOf("plain.example", { maxVersion });
    assert.ok(session);
    assert.equal(await resumes("plain.example", session, { maxVersion }), true);
    assert.equal(await resumes("other.example", session, { maxVersion }), false);
    for (const name of ["checked.example", "asked.example"]) {
      const checked = await sessionOf(name, { maxVersion, ...identity });
      if (checked === null) continue;
      assert.equal(await resumes(name, checked, { maxVersion, ...identity }), false, name);
    }
    await assert.rejects(request("checked.example", { maxVersion, session }));
  });
}

async function groupOf(servername: string, ecdhCurve: string): Promise<string | undefined> {
  const { socket } = await handshake(servername, { ecdhCurve });
  const info = socket.getEphemeralKeyInfo() as { name?: string };
  socket.destroy();
  return info.name;
}

/** Rejects where the handshake fails. */
async function handshake(
  servername: string,
  options: ConnectionOptions = {},
): Promise<{ socket: TLSSocket }> {
  const socket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false, ...options });
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  return { socket };
}

/** A request and its whole answer: by then tickets have come, and a client that is refused has heard it. */
async function request(servername: string, options: ConnectionOptions): Promise<TLSSocket> {
  const { socket } = await handshake(servername, options);
  socket.write(`GET / HTTP/1.1\r\nhost: ${servername}\r\n\r\n`);
  await new Promise<void>((resolve, reject) => {
    socket.once("data", () => resolve());
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
  return socket;
}

async function sessionOf(servername: string, options: ConnectionOptions): Promise<Buffer | null> {
  let session: Buffer | null = null;
  const { socket } = await handshake(servername, options);
  socket.on("session", (given: Buffer) => {
    session = given;
  });
  socket.write(`GET / HTTP/1.1\r\nhost: ${servername}\r\n\r\n`);
  await once(socket, "data");
  if (options.maxVersion === "TLSv1.2") session = socket.getSession() ?? null;
  socket.destroy();
  return session;
}

async function resumes(servername: string, session: Buffer, options: ConnectionOptions): Promise<boolean> {
  const socket = await request(servername, { ...options, session });
  const isReused = socket.isSessionReused();
  socket.destroy();
  return isReused;
}
