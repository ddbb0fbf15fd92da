import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, get } from "node:https";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { type Authority, createAuthority, type IssuedCertificate } from "../../src/x509/authority.ts";
import { credence } from "../cli/credence.ts";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";

interface Checked {
  readonly code: number | null;
  /** `BUNDLE SUBJECT`, and why it must stay. */
  readonly roots: ReadonlyMap<string, readonly string[]>;
}

/** What `credence certs rotate-check` says of a running gateway. */
async function rotateCheck(t: TestContext, gateway: RunningGateway, ...flags: string[]): Promise<Checked> {
  const { code, stdout, stderr } = await credence(
    t,
    ...["certs", "rotate-check", "--admin", gateway.adminUrl, "--format", "json", ...flags],
  );
  assert.equal(stderr, "");
  const { bundles } = JSON.parse(stdout) as {
    bundles: { name: string; roots: { anchor: { subject: string }; safe: boolean; reasons: string[] }[] }[];
  };
  const roots = bundles.flatMap(({ name, roots }) =>
    roots.map(({ anchor, reasons }): [string, string[]] => [`${name} ${anchor.subject}`, reasons]),
  );
  return { code, roots: new Map(roots) };
}

/** A server that asks for a client's certificate, and closes each connection so that every request is a handshake. */
async function startUpstream(t: TestContext, client: Authority, identity: IssuedCertificate) {
  const options = (shown: IssuedCertificate) => ({
    cert: shown.certificate,
    key: shown.privateKey,
    ca: client.certificate,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const server = createServer(options(identity), (_request, response) => {
    response.setHeader("connection", "close").end("hello");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    port: (server.address() as AddressInfo).port,
    present: (shown: IssuedCertificate) => server.setSecureContext(options(shown)),
  };
}

/** Clients by name, each on a new connection with the certificate that it has now; whatever is not a 200 is a failure. */
function startClients(port: number, certificates: ReadonlyMap<string, IssuedCertificate>) {
  const failures: string[] = [];
  let requests = 0;
  let stopped = false;
  const ask = async (name: string): Promise<void> => {
    const { certificate, privateKey } = certificates.get(name) as IssuedCertificate;
    const request = get({
      ...{ port, host: "127.0.0.1", servername: "shop.example", headers: { host: "shop.example" } },
      ...{ cert: certificate, key: privateKey, rejectUnauthorized: false, agent: false },
    });
    try {
      const [response] = await once(request, "response");
      for await (const _ of response);
      if (response.statusCode !== 200) failures.push(`${name}: ${response.statusCode}`);
    } catch (error) {
      failures.push(`${name}: ${(error as Error).message}`);
    }
    requests++;
  };
  const running = [...certificates.keys()].map(async (name) => {
    while (!stopped) await ask(name);
  });
  return {
    /** Resolves when each client has asked again, under what holds now. */
    async pass(): Promise<void> {
      const end = requests + 3 * certificates.size;
      while (requests < end) await new Promise((resolve) => setTimeout(resolve, 10));
    },
    async stop() {
      stopped = true;
      await Promise.all(running);
      return { requests, failures };
    },
  };
}

test("a root is replaced step by step under load: rotate-check turns when the last peer has, and no request fails", async (t) => {
  const [oldRoot, newRoot, own] = (await Promise.all(
    ["old root", "new root", "gateway CA"].map((name) => createAuthority(name)),
  )) as [Authority, Authority, Authority];
  const server = (root: Authority) =>
    root.issue({ commonName: "upstream", dnsNames: ["localhost"], usage: "server" });
  const client = (root: Authority, name: string) => root.issue({ commonName: name, usage: "client" });
  const upstream = await startUpstream(t, own, await server(oldRoot));
  const clients = new Map([
    ["one", await client(oldRoot, "one")],
    ["two", await client(oldRoot, "two")],
  ]);
  const bundle = (...roots: readonly Authority[]): string => {
    const ca = roots.map(({ certificate }) => certificate).join("");
    return secretYaml("upstream-ca", { ca }) + secretYaml("client-ca", { ca });
  };
  const gateway = await startGateway(
    {
      "routes.yaml": [
        mappingYaml("m", { prefix: "/", service: `https://localhost:${upstream.port}`, tls: "up" }),
        tlsContextYaml("up", { secret: "identity", ca_secret: "upstream-ca" }),
        tlsContextYaml("shop", {
          hosts: ["shop.example"],
          secret: "shop",
          ca_secret: "client-ca",
          cert_required: true,
        }),
        secretYaml("identity", await client(own, "gateway")),
        secretYaml("shop", await own.issue({ commonName: "shop", dnsNames: ["shop.example"] })),
      ].join(""),
      "roots.yaml": bundle(oldRoot),
    },
    { engine: "node" },
  );
  t.after(() => gateway.stop());
  const cluster = `cluster localhost:${upstream.port} tls default/up`;
  const load = startClients(gateway.httpsPort, clients);
  t.after(() => load.stop());
  await load.pass();
  const quiet = ["--quiet-for", "1s"];

  // One CA is nothing to choose from; asked about by name, it is not to be taken away.
  assert.deepEqual(await rotateCheck(t, gateway, ...quiet), { code: 0, roots: new Map() });
  const only = await rotateCheck(
    t,
    gateway,
    ...quiet,
    "--root",
    "old root",
    "--bundle",
    "secret/default/client-ca",
  );
  assert.equal(only.code, 1);
  assert.match(only.roots.get("secret/default/client-ca CN=old root")?.[0] ?? "", /^it is the only CA/);

  // 1. The new root comes beside the old one.
  await gateway.replace("roots.yaml", bundle(oldRoot, newRoot));
  await load.pass();
  const begun = await rotateCheck(t, gateway, ...quiet);
  assert.equal(begun.code, 1);
  assert.deepEqual(
    [...begun.roots.keys()],
    ["secret/default/client-ca CN=old root", "secret/default/upstream-ca CN=old root"],
  );
  const said = (checked: Checked, name: string): string =>
    checked.roots.get(`${name} CN=old root`)?.join("\n") ?? "";
  assert.match(
    said(begun, "secret/default/upstream-ca"),
    new RegExp(`^${cluster} chained to it \\d seconds? ago`),
  );
  assert.match(
    said(begun, "secret/default/client-ca"),
    /^clients of listener https chained to it .*: CN=(one|two), CN=/,
  );

  // 2. Peers get certificates of the new root, one after the other.
  upstream.present(await server(newRoot));
  clients.set("one", await client(newRoot, "one"));
  await untilRoots(t, gateway, quiet, (checked) => said(checked, "secret/default/upstream-ca") === "");
  const half = await rotateCheck(t, gateway, ...quiet);
  assert.equal(half.code, 1);
  assert.match(said(half, "secret/default/client-ca"), /CN=two/);
  assert.doesNotMatch(said(half, "secret/default/client-ca"), /CN=one/);

  // 3. The last one has it: the answer turns.
  clients.set("two", await client(newRoot, "two"));
  const done = await untilRoots(t, gateway, quiet, ({ code }) => code === 0);
  assert.deepEqual([...done.roots.values()], [[], []]);
  assert.equal((await rotateCheck(t, gateway)).code, 1, "24 hours is what counts unless told otherwise");
  const text = await credence(t, "certs", "rotate-check", "--admin", gateway.adminUrl, ...quiet);
  assert.equal(text.code, 0);
  assert.match(
    text.stdout,
    /^ {2}CN=old root \([0-9a-f]{16}, until .*\): safe to drop\n {4}clients of listener https: \d+ hand/m,
  );
  assert.match(text.stdout, /^Safe to drop: CN=old root \(what is told began .* ago, with the process\)\.$/m);
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const series = metrics.split("\n").filter((line) => line.startsWith("credence_anchor_handshakes_total{"));
  assert.equal(series.length, 4, "two places, two roots");

  // 4. The old root goes.
  await gateway.replace("roots.yaml", bundle(newRoot));
  await load.pass();
  const { failures, requests } = await load.stop();
  assert.deepEqual(failures, []);
  assert.ok(requests > 20, String(requests));

  const late = startClients(gateway.httpsPort, new Map([["late", await client(oldRoot, "late")]]));
  await late.pass();
  const refused = await late.stop();
  assert.equal(refused.failures.length, refused.requests, "the old root vouches for nobody any more");
});

async function untilRoots(
  t: TestContext,
  gateway: RunningGateway,
  flags: readonly string[],
  holds: (checked: Checked) => boolean,
): Promise<Checked> {
  for (let round = 0; round < 60; round++) {
    const checked = await rotateCheck(t, gateway, ...flags);
    if (holds(checked)) return checked;
  }
  throw new Error("it never turned");
}
