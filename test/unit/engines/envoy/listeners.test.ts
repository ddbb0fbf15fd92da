import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { type ConnectionOptions, connect } from "node:tls";
import { translateListeners } from "../../../../src/engines/envoy/listeners.ts";
import { routeScopes } from "../../../../src/engines/envoy/route-scopes.ts";
import type { TranslationContext } from "../../../../src/engines/envoy/translation-context.ts";
import type { GatewayModel } from "../../../../src/model/gateway.ts";
import type { VirtualHost } from "../../../../src/model/listener.ts";
import type { ClientAuth, ServerTls, TlsParameters } from "../../../../src/model/tls.ts";
import { createAuthority } from "../../../../src/x509/authority.ts";
import { freePort } from "../../../support/free-port.ts";
import { exchangeBytes } from "../../../support/raw-client.ts";
import {
  answering,
  credentialSecret,
  HTTP,
  type StaticEnvoy,
  startStaticEnvoy,
  trustSecret,
} from "../../../support/static-envoy.ts";

let envoy: StaticEnvoy;
let httpPort = 0;
let httpsPort = 0;
let client: { certificate: string; privateKey: string };
let unknownClient: { certificate: string; privateKey: string };

before(async () => {
  [httpPort, httpsPort] = [await freePort(), await freePort()];
  const ca = await createAuthority("listener CA");
  const stranger = await createAuthority("stranger");
  client = await ca.issue({ commonName: "client", usage: "client" });
  unknownClient = await stranger.issue({ commonName: "nobody", usage: "client" });
  const certificateFor = async (name: string) =>
    credentialSecret(await ca.issue({ commonName: name, dnsNames: [name], usage: "server" }));
  const model: GatewayModel = {
    http: HTTP,
    listeners: [
      { name: "http", address: "127.0.0.1", port: httpPort, transport: "cleartext", action: "serve" },
      { name: "https", address: "127.0.0.1", port: httpsPort, transport: "tls", action: "serve" },
    ],
    virtualHosts: [
      host("*.wild.example", terminate("secret/default/wild", { mode: "none" })),
      host("a.example", terminate("secret/default/a", { mode: "none" })),
      host("b.example", terminate("secret/default/b", { mode: "required", trust: "secret/default/ca" })),
      host("c.example", terminate("secret/default/a", { mode: "optional", trust: "secret/default/ca" })),
      host("closed.wild.example", { mode: "refuse", code: "tls-secret-missing" }),
    ],
    routes: [],
    clusters: [],
  };
  const context: TranslationContext = { generations: new Map(), ports: new Map() };
  envoy = await startStaticEnvoy(
    [...translateListeners(model, context), ...routeScopes(model).map(({ name }) => answering(name))],
    {
      ports: [httpPort, httpsPort],
      secrets: {
        "credential:secret/default/a": await certificateFor("a.example"),
        "credential:secret/default/b": await certificateFor("b.example"),
        "credential:secret/default/wild": await certificateFor("*.wild.example"),
        "trust:secret/default/ca": trustSecret(ca.certificate),
      },
    },
  );
});
after(() => envoy?.stop());

const REQUEST = "GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";

test("cleartext is served by the scope of its listener", async () => {
  const answer = await exchangeBytes(httpPort, REQUEST);
  assert.match(answer, /^HTTP\/1.1 200 OK\r\n/);
  assert.match(answer, /\r\nserver: credence\r\n/);
  assert.match(answer, /\r\n\r\nhttp$/);
});

for (const [serverName, tls, expected] of [
  ["a.example", {}, /https:none/],
  ["A.example", {}, /https:none/],
  ["x.wild.example", {}, /https:none/],
  ["x.y.wild.example", {}, /https:none/],
  ["wild.example", {}, /^$/],
  ["closed.wild.example", {}, /^$/],
  ["unknown.example", {}, /^$/],
  ["", {}, /^$/],
  ["b.example", {}, /^$/],
  ["b.example", { with: "client" }, /https:required:secret\|default\|ca/],
  ["b.example", { with: "unknown" }, /^$/],
  ["c.example", {}, /https:optional:secret\|default\|ca/],
  ["c.example", { with: "client" }, /https:optional:secret\|default\|ca/],
  ["c.example", { with: "unknown" }, /^$/],
] as const) {
  const who = "with" in tls ? ` with the ${tls.with} certificate` : "";
  test(`TLS for ${serverName || "no name"}${who}`, async () => {
    const identity = "with" in tls ? (tls.with === "client" ? client : unknownClient) : undefined;
    const options: ConnectionOptions = {
      ...(serverName === "" ? {} : { servername: serverName }),
      ...(identity === undefined ? {} : { cert: identity.certificate, key: identity.privateKey }),
    };
    assert.match(
      await exchangeBytes(httpsPort, REQUEST, { tls: options, until: /\r\n\r\nhttps:/ }),
      expected,
    );
  });
}

for (const serverName of ["closed.wild.example", "unknown.example", undefined]) {
  test(`a refused handshake for ${serverName ?? "no name"} gets the alert unrecognized_name`, async () => {
    const options = { port: httpsPort, host: "127.0.0.1", rejectUnauthorized: false };
    const socket = connect(serverName === undefined ? options : { ...options, servername: serverName });
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    assert.match(error.code ?? "", /UNRECOGNIZED_NAME/);
  });
}

test("plain text on a TLS port gets an answer in plain text", async () => {
  const answer = await exchangeBytes(httpsPort, REQUEST);
  assert.match(answer, /^HTTP\/1.1 400 Bad Request\r\n[\s\S]*This port speaks TLS only\n$/);
});

function host(domain: string, tls: ServerTls): VirtualHost {
  return { domain, origin: "host/default/test", tls, cleartext: "route" };
}

function terminate(credential: string, clients: ClientAuth): ServerTls {
  return { mode: "terminate", credential, clients, parameters: PARAMETERS };
}

const PARAMETERS: TlsParameters = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
};

test("hosts that close or open change a listener's chains and nothing else: Envoy would replace it, and end its connections", () => {
  const listening = (...tls: ServerTls[]): unknown => {
    const model: GatewayModel = {
      http: HTTP,
      listeners: [{ name: "https", address: "127.0.0.1", port: 8443, transport: "tls", action: "serve" }],
      virtualHosts: tls.map((each, index) => host(`${index}.example`, each)),
      routes: [],
      clusters: [],
    };
    const [listener] = translateListeners(model, {
      generations: new Map(),
      ports: new Map(),
      ownCluster: "credence",
    });
    assert.ok(listener !== undefined);
    const { filterChains, ...rest } = listener.message as { filterChains: unknown[] };
    assert.ok(filterChains.length > tls.length);
    return rest;
  };
  const served = terminate("secret/default/a", { mode: "none" });
  const refused = { mode: "refuse", code: "tls-secret-missing" } as const;
  const before = listening(served, served);
  assert.ok("accessLog" in (before as object));
  for (const after of [[served, refused], [refused], [served, { mode: "cleartext" } as const]])
    assert.deepEqual(listening(...after), before);
});
