import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { it as nodeIt } from "node:test";
import { connect } from "node:tls";
import { createAuthority, type IssuedCertificate } from "../../src/x509/authority.ts";
import { it } from "../behaviour/engines.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { runOn } from "../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startLoad } from "../support/load.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

// What the other side of a rotation sees: which certificates are on connections that are open, and since when.

const ROTATIONS = Number(process.env.CREDENCE_WATCHED_ROTATIONS ?? 24);
/** How long after a rotation a new connection may present what was before. */
const SOON_MS = 1000;

const serialOf = ({ certificate }: IssuedCertificate): string =>
  new X509Certificate(certificate).serialNumber.toLowerCase();

const routes = (port: number): string =>
  mappingYaml("m", { prefix: "/", service: `localhost:${port}`, tls: "ctx", timeout_ms: 0 }) +
  tlsContextYaml("ctx", { hosts: [], secret: "certs" });

async function start(
  upstream: Upstream,
  first: IssuedCertificate,
  trusted?: string,
): Promise<RunningGateway> {
  const { ca } = await certificates();
  return startGateway({
    "routes.yaml": routes(upstream.port),
    "secret.yaml": secretYaml("certs", { ...first, ca: trusted ?? ca.certificate }),
  });
}

async function status(gateway: RunningGateway, path = "/"): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}${path}`);
  await response.text();
  return response.status;
}

/** Milliseconds until `test` holds; fails where it does not within `most`. */
async function within(most: number, what: string, test: () => boolean | Promise<boolean>): Promise<number> {
  const start = performance.now();
  while (!(await test())) {
    assert.ok(performance.now() - start < most, `${what}: not within ${most} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - start;
}

it(`${ROTATIONS} rotations under load: each certificate is presented soon, the one before goes out of use, no request fails`, async () => {
  const upstream = await startUpstream("mtls");
  const { ca } = await certificates();
  const issued = await Promise.all(
    Array.from({ length: 4 }, (_, index) => ca.issue({ commonName: `generation-${index}`, usage: "client" })),
  );
  const at = (index: number): IssuedCertificate => issued[index % issued.length] as IssuedCertificate;
  const gateway = await start(upstream, at(0));
  const load = startLoad(`http://127.0.0.1:${gateway.httpPort}/`, 4);
  try {
    for (let index = 1; index <= ROTATIONS; index++) {
      const serial = serialOf(at(index));
      await gateway.replace("secret.yaml", secretYaml("certs", { ...at(index), ca: ca.certificate }));
      await within(SOON_MS, `rotation ${index} is presented`, () => upstream.live.has(serial));
      await within(SOON_MS, `rotation ${index} alone`, () => [...upstream.live.keys()].join() === serial);
    }
    const { requests, failures } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(requests > ROTATIONS, `only ${requests} requests`);
  } finally {
    await load.stop();
    await gateway.stop();
    await upstream.close();
  }
});

it("trust is rotated without an outage: the old root, both, the new one; then the old one is none", async () => {
  const upstream = await startUpstream("mtls");
  const { ca, client, server } = await certificates();
  const next = await createAuthority("next CA");
  const renewed = await next.issue({ commonName: "server", dnsNames: ["localhost"], usage: "server" });
  const trusting = (...roots: string[]): string => secretYaml("certs", { ...client, ca: roots.join("") });
  const gateway = await start(upstream, client);
  const load = startLoad(`http://127.0.0.1:${gateway.httpPort}/`, 4);
  try {
    await within(SOON_MS, "the first connection", () => upstream.open > 0);
    const trust = async (...roots: string[]): Promise<void> => {
      const before = upstream.connections;
      await gateway.replace("secret.yaml", trusting(...roots));
      // None that was made under the trust before goes on.
      await within(SOON_MS, "new connections", () => upstream.connections > before);
      await within(SOON_MS, "no others", () => upstream.open <= upstream.connections - before);
    };
    await trust(ca.certificate, next.certificate);
    upstream.present(renewed);
    await trust(next.certificate);
    assert.deepEqual((await load.stop()).failures, []);
    upstream.present(server);
    await gateway.replace(
      "secret.yaml",
      trusting(next.certificate, (await createAuthority("x")).certificate),
    );
    await within(SOON_MS, "nobody is trusted", async () => (await status(gateway)) === 503);
    for (let turn = 0; turn < 3; turn++) assert.equal(await status(gateway), 503);
  } finally {
    await load.stop();
    await gateway.stop();
    await upstream.close();
  }
});

it("a host's certificate is rotated: the next handshake shows the new one", async () => {
  const { ca, server } = await certificates();
  const renewed = await ca.issue({ commonName: "renewed", dnsNames: ["a.example"], usage: "server" });
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: "localhost:1" }) +
      tlsContextYaml("ctx", { hosts: ["a.example"], secret: "certs" }),
    "secret.yaml": secretYaml("certs", server),
  });
  const shown = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        port: gateway.httpsPort,
        host: "127.0.0.1",
        servername: "a.example",
        rejectUnauthorized: false,
      });
      socket.once("error", reject).once("secureConnect", () => {
        resolve(socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "");
        socket.destroy();
      });
    });
  try {
    assert.equal(await shown(), serialOf(server));
    for (const next of [renewed, server, renewed]) {
      await gateway.replace("secret.yaml", secretYaml("certs", next));
      const took = await within(
        SOON_MS,
        "the new one is shown",
        async () => (await shown()) === serialOf(next),
      );
      assert.ok(took < SOON_MS);
    }
  } finally {
    await gateway.stop();
  }
});

it("usable, deleted, usable again: 503 at once and nothing with the certificate after; then 200", async () => {
  const upstream = await startUpstream("mtls");
  const { ca, client } = await certificates();
  const gateway = await start(upstream, client);
  const secret = secretYaml("certs", { ...client, ca: ca.certificate });
  try {
    for (let turn = 0; turn < 3; turn++) {
      assert.equal(await status(gateway, `/good-${turn}`), 200);
      await gateway.replace("secret.yaml", "# deleted\n");
      const answers = await Promise.all(Array.from({ length: 8 }, () => status(gateway, `/closed-${turn}`)));
      assert.deepEqual(new Set(answers), new Set([503]));
      await within(SOON_MS, "connections are gone", () => upstream.live.size === 0);
      await gateway.replace("secret.yaml", secret);
    }
    assert.equal(await status(gateway, "/end"), 200);
    assert.deepEqual(
      upstream.seen.map(({ path }) => path),
      ["/good-0", "/good-1", "/good-2", "/end"],
    );
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a certificate that ends without another one: 503 from then on, and no connection with it", async () => {
  const upstream = await startUpstream("mtls");
  const { ca } = await certificates();
  // X.509 counts whole seconds.
  const notAfter = new Date(Math.ceil(Date.now() / 1000) * 1000 + 3000);
  const short = await ca.issue({ commonName: "short", usage: "client", notAfter });
  const gateway = await start(upstream, short);
  try {
    assert.equal(await status(gateway, "/before"), 200);
    // A request that ends long before it is not answered with 503 either.
    await within(10_000, "503", async () => (await status(gateway, "/late")) === 503);
    const late = Date.now() - notAfter.getTime();
    assert.ok(late > -50 && late < SOON_MS, `${late} ms after its end`);
    await within(SOON_MS, "connections are gone", () => upstream.live.size === 0);
    const { length } = upstream.seen;
    assert.equal(await status(gateway, "/after"), 503);
    assert.equal(upstream.seen.length, length);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("an idle connection is closed by a rotation, though nobody asks for anything", async () => {
  const upstream = await startUpstream("mtls");
  const { ca, client } = await certificates();
  const next = await ca.issue({ commonName: "next", usage: "client" });
  const gateway = await start(upstream, client);
  try {
    assert.equal(await status(gateway), 200);
    assert.equal(upstream.live.get(serialOf(client)), 1);
    await gateway.replace("secret.yaml", secretYaml("certs", { ...next, ca: ca.certificate }));
    await within(SOON_MS, "it is closed", () => upstream.live.size === 0);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a request that goes on keeps its connection, which is closed as it ends; new ones are made with the new certificate", async () => {
  const finish: (() => void)[] = [];
  const upstream = await startUpstream("mtls", (request, response) => {
    response.write("begun");
    if (request.url === "/long") finish.push(() => response.end());
    else response.end();
  });
  const { ca, client } = await certificates();
  const next = await ca.issue({ commonName: "next", usage: "client" });
  const [before, after] = [serialOf(client), serialOf(next)];
  const gateway = await start(upstream, client);
  try {
    const long = status(gateway, "/long");
    await within(SOON_MS, "it is under way", () => finish.length > 0);
    await gateway.replace("secret.yaml", secretYaml("certs", { ...next, ca: ca.certificate }));
    await within(SOON_MS, "the new one is presented", async () => {
      assert.equal(await status(gateway), 200);
      return upstream.live.has(after);
    });
    assert.equal(upstream.live.get(before), 1);
    for (const end of finish) end();
    assert.equal(await long, 200);
    await within(SOON_MS, "the old one is gone", () => !upstream.live.has(before));
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

nodeIt("an Envoy that is killed while a secret is rotated comes back with the new one alone", async () => {
  const upstream = await startUpstream("mtls");
  const { ca, client } = await certificates();
  const next = await ca.issue({ commonName: "next", usage: "client" });
  const gateway = await runOn("envoy", () => start(upstream, client));
  const { control } = gateway.gateway;
  try {
    assert.equal(await status(gateway), 200);
    const pid = await pidOf(gateway);
    process.kill(pid, "SIGKILL");
    await gateway.replace("secret.yaml", secretYaml("certs", { ...next, ca: ca.certificate }));
    await within(20_000, "it answers again", async () => {
      const answered = await status(gateway).catch(() => 0);
      return answered === 200 && (await pidOf(gateway)) !== pid;
    });
    assert.deepEqual([...upstream.live.keys()], [serialOf(next)]);
    assert.equal(upstream.seen.at(-1)?.clientSubject, "CN=next");
    // Whether it is live is asked now and then.
    await within(SOON_MS, "the gateway is ready", () => control.state.ready);
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

it("a request that would go on for ever is cut: its connection does not outlive the certificate", async () => {
  const upstream = await startUpstream("mtls", (_, response) => void response.write("begun"));
  const { ca, client } = await certificates();
  // An Envoy cuts it after half of the lifetime.
  const notBefore = new Date(Date.now() - 1000);
  const notAfter = new Date(notBefore.getTime() + 8000);
  const short = await ca.issue({ commonName: "short", usage: "client", notBefore, notAfter });
  const gateway = await start(upstream, short);
  try {
    const long = status(gateway).then(
      () => "ended",
      () => "cut",
    );
    await within(SOON_MS, "it is under way", () => upstream.live.has(serialOf(short)));
    await gateway.replace("secret.yaml", secretYaml("certs", { ...client, ca: ca.certificate }));
    assert.equal(await long, "cut");
    await within(SOON_MS, "its connection is gone", () => !upstream.live.has(serialOf(short)));
    assert.ok(Date.now() < notAfter.getTime());
  } finally {
    await gateway.stop();
    await upstream.close();
  }
});

async function pidOf(gateway: RunningGateway): Promise<number> {
  const response = await fetch(`${gateway.adminUrl}/ambassador/v0/diag/?json=true`);
  const { engines } = (await response.json()) as {
    engines: { proxies: { process: { pid: number | null } }[] }[];
  };
  return engines[0]?.proxies[0]?.process.pid ?? 0;
}
