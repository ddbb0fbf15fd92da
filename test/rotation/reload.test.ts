import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { it } from "../behaviour/engines.ts";
import {
  certificates,
  mappingYaml,
  moduleYaml,
  secretYaml,
  tlsContextYaml,
} from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startLoad } from "../support/load.ts";
import { exchangeBytes, parseAnswers } from "../support/raw-client.ts";
import { startUpstream } from "../support/upstream.ts";

// What a reload leaves alone, what it ends, and what it must not touch where the engine refuses it.

async function occupy(port = 0): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const free = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => resolve(false)).on("connect", () => resolve(true));
    socket.on("connect", () => socket.destroy());
  });
}

/** Long before an idle connection ends by itself. */
async function eventually(test: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!test()) {
    assert.ok(performance.now() < end, `not within 20 s: ${test}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function status(gateway: RunningGateway, path: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}${path}`);
  await response.text();
  return response.status;
}

it("the previous revision goes on to the last request, nothing new is open, and the next one takes over", async () => {
  const release: (() => void)[] = [];
  const upstream = await startUpstream("cleartext", (request, response) => {
    if (request.url === "/slow") release.push(() => response.end("slow"));
    else response.end("quick");
  });
  const [taken, spare] = await Promise.all([occupy(), occupy()]);
  const [redirectPort, httpsPort] = [portOf(taken), portOf(spare)];
  await free(spare);
  const { server } = await certificates();
  const mapping = (prefix: string): string =>
    mappingYaml("m", { prefix, service: `localhost:${upstream.port}`, timeout_ms: 0 });
  const next = (context: Record<string, unknown>): string =>
    mapping("/after/") +
    tlsContextYaml("a", { hosts: ["a.example"], secret: "server", ...context }) +
    secretYaml("server", server);
  const gateway = await startGateway({ "a.yaml": mapping("/before/") }, { compile: { httpsPort } });
  try {
    assert.equal(await status(gateway, "/before/"), 200);
    const running = status(gateway, "/before/slow");
    await eventually(() => release.length > 0);
    await gateway.replace("a.yaml", next({ redirect_cleartext_from: redirectPort }));
    assert.equal(gateway.gateway.control.state.revision?.number, 1);
    const { diagnostics } = await gateway.diag();
    assert.deepEqual(
      diagnostics.map(({ code }) => code),
      ["listener-port-unavailable"],
    );
    assert.deepEqual([await status(gateway, "/before/"), await status(gateway, "/after/")], [200, 404]);
    assert.equal(await isOpen(httpsPort), false, "what could be opened is closed again");
    assert.equal(upstream.connections, 2, "the upstream connections are those of before");
    for (const answer of release) answer();
    assert.equal(await running, 200);

    await free(taken);
    await gateway.gateway.control.reload();
    assert.deepEqual((await gateway.diag()).diagnostics, []);
    const get = (path: string): string =>
      `GET ${path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n`;
    const secure = await exchangeBytes(httpsPort, get("/after/"), { tls: { servername: "a.example" } });
    assert.equal(parseAnswers(secure)[0]?.status, 200);
    assert.equal(await status(gateway, "/after/"), 400);
    // That listener redirects, whatever its host would be answered elsewhere.
    const [redirected] = parseAnswers(await exchangeBytes(redirectPort, get("/x")));
    assert.equal(redirected?.status, 301);
    assert.match(redirected.head, /\r\nlocation: https:\/\/a\.example\/x\r\n/);

    await gateway.replace("a.yaml", next({}));
    assert.deepEqual([await isOpen(redirectPort), await isOpen(httpsPort)], [false, true]);
  } finally {
    taken.close();
    await gateway.stop();
    await upstream.close();
  }
});

it("a first revision that is refused leaves nothing that the second one trips over", async () => {
  const upstream = await startUpstream("cleartext");
  const taken = await occupy();
  const gateway = await startGateway(
    { "a.yaml": mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}` }) },
    { compile: { httpPort: portOf(taken) } },
  );
  try {
    assert.equal(gateway.gateway.control.state.revision, null);
    assert.equal(gateway.gateway.control.state.ready, false);
    await free(taken);
    await gateway.gateway.control.reload();
    assert.equal(gateway.gateway.control.state.ready, true);
    for (let turn = 0; turn < 3; turn++) assert.equal(await status(gateway, "/"), 200);
    assert.equal(upstream.connections, 1, "its pool is a pool like any other");
  } finally {
    taken.close();
    await gateway.stop();
    await upstream.close();
  }
});

it("a reload keeps the connections of what it leaves as it was, and of nothing else", async () => {
  const upstream = await startUpstream("cleartext");
  const mapping = (more: Record<string, unknown>): string =>
    mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}`, ...more });
  const gateway = await startGateway({ "a.yaml": mapping({}) });
  try {
    assert.equal(await status(gateway, "/"), 200);
    await gateway.replace("a.yaml", mapping({ timeout_ms: 2000 }));
    assert.equal(await status(gateway, "/"), 200);
    assert.equal(upstream.connections, 1);
    await gateway.replace("a.yaml", mapping({ connect_timeout_ms: 2000 }));
    assert.equal(await status(gateway, "/"), 200);
    assert.equal(upstream.connections, 2);
    await eventually(() => upstream.open === 1);
    assert.equal(gateway.gateway.control.state.revision?.number, 3);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a request under way ends as it began, though its route, its cluster and its certificate are gone", async () => {
  const release: (() => void)[] = [];
  const upstream = await startUpstream("mtls", (_, response) => release.push(() => response.end("slow")));
  const { ca, client } = await certificates();
  const gateway = await startGateway({
    "a.yaml":
      mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}`, tls: "ctx" }) +
      tlsContextYaml("ctx", { hosts: [], secret: "certs" }) +
      secretYaml("certs", { ...client, ca: ca.certificate }),
  });
  try {
    const running = status(gateway, "/");
    await eventually(() => release.length > 0);
    await gateway.replace("a.yaml", mappingYaml("m", { prefix: "/other/", service: "localhost:1" }));
    assert.equal(await status(gateway, "/"), 404);
    for (const answer of release) answer();
    assert.equal(await running, 200);
    await eventually(() => upstream.open === 0);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a context that names another certificate presents it at once, and the connections with the old one end", async () => {
  const upstream = await startUpstream("mtls");
  const { ca, client } = await certificates();
  const second = await ca.issue({ commonName: "second", usage: "client" });
  const resources = (secret: string): string =>
    mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}`, tls: "ctx" }) +
    tlsContextYaml("ctx", { hosts: [], secret }) +
    secretYaml("one", { ...client, ca: ca.certificate }) +
    secretYaml("two", { ...second, ca: ca.certificate });
  const gateway = await startGateway({ "a.yaml": resources("one") });
  try {
    assert.equal(await status(gateway, "/"), 200);
    await gateway.replace("a.yaml", resources("two"));
    assert.equal(await status(gateway, "/"), 200);
    assert.deepEqual(
      upstream.seen.map(({ clientSubject }) => clientSubject),
      ["CN=gateway", "CN=second"],
    );
    await eventually(() => upstream.open === 1);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a listener that moves answers at its new port and no more at the old one", async () => {
  const [one, two] = await Promise.all([occupy(), occupy()]);
  const ports = [portOf(one), portOf(two)] as const;
  await Promise.all([free(one), free(two)]);
  const resources = (port: number): string =>
    moduleYaml({ service_port: port }) + mappingYaml("m", { prefix: "/", service: "localhost:1" });
  const gateway = await startGateway({ "a.yaml": resources(ports[0]) }, { compile: { httpPort: undefined } });
  try {
    assert.deepEqual(await Promise.all(ports.map(isOpen)), [true, false]);
    await gateway.replace("a.yaml", resources(ports[1]));
    assert.equal(await isOpen(ports[1]), true);
    // Envoy closes the old one a moment after the new one is open.
    while (await isOpen(ports[0])) await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    await gateway.stop();
  }
});

it("new handshakes are for the hosts of the moment", async () => {
  const { server } = await certificates();
  const resources = (host: string): string =>
    mappingYaml("m", { prefix: "/", service: "localhost:1", tls: "missing" }) +
    tlsContextYaml("a", { hosts: [host], secret: "server" }) +
    secretYaml("server", server);
  const gateway = await startGateway({ "a.yaml": resources("a.example") });
  const ask = async (servername: string): Promise<number | undefined> => {
    const request = `GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`;
    return parseAnswers(await exchangeBytes(gateway.httpsPort, request, { tls: { servername } }))[0]?.status;
  };
  try {
    assert.deepEqual([await ask("a.example"), await ask("b.example")], [503, undefined]);
    await gateway.replace("a.yaml", resources("b.example"));
    assert.deepEqual([await ask("a.example"), await ask("b.example")], [undefined, 503]);
  } finally {
    await gateway.stop();
  }
});

it("hosts, certificates and routes that come and go lose no request of the hosts that stay", async () => {
  const upstream = await startUpstream("cleartext");
  const { server, ca } = await certificates();
  const other = await ca.issue({ commonName: "other", dnsNames: ["b.example"], usage: "server" });
  const context = (name: string): string =>
    tlsContextYaml(name, { hosts: [`${name}.example`], secret: name === "a" ? "server" : "other" });
  const stays =
    mappingYaml("m", { prefix: "/", service: `localhost:${upstream.port}` }) +
    context("a") +
    secretYaml("server", server);
  const comes = [
    context("b") + secretYaml("other", other),
    context("b") + context("c") + secretYaml("other", other),
    mappingYaml("n", { prefix: "/n/", host: "a.example", service: `localhost:${upstream.port}` }),
    mappingYaml("n", { prefix: "/n/", host: "b.example", service: "localhost:1" }),
    moduleYaml({ use_remote_address: false }),
    "",
  ];
  const gateway = await startGateway({ "a.yaml": stays });
  const load = startLoad(`https://127.0.0.1:${gateway.httpsPort}/`, 4, "a.example");
  try {
    for (let turn = 0; turn < 3; turn++)
      for (const more of comes) await gateway.replace("a.yaml", stays + more);
    const { requests, failures } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(requests > 18, `only ${requests} requests`);
  } finally {
    await load.stop();
    await gateway.stop();
    await upstream.close();
  }
});
