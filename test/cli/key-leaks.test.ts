import assert from "node:assert/strict";
import { once } from "node:events";
import { get } from "node:http";
import { createServer, request } from "node:https";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createAuthority } from "../../src/x509/authority.ts";
import { PlantedKeys } from "../support/planted-keys.ts";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { issueSvid, startWorkloadApi } from "../support/workload-api.ts";
import { Credence, eventually, fetchText, scratch } from "./credence.ts";
import { type PlantedFolder, plantFolder } from "./planted-folder.ts";

/** A folder full of keys, a server that asks for a client's certificate, and a home where all that is written is found. */
async function plant(
  t: TestContext,
): Promise<PlantedFolder & { readonly home: string; readonly port: number }> {
  const server = createServer({ requestCert: true, rejectUnauthorized: true }, (_request, response) =>
    response.end("hello"),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const folder = await plantFolder(scratch(t), port);
  const { authority, upstream } = folder;
  server.setSecureContext({
    cert: upstream.certificate,
    key: upstream.privateKey,
    ca: authority.certificate,
  });
  return { ...folder, home: scratch(t), port };
}

/** Every environment that says where files go points to `home`. */
function start(t: TestContext, home: string, ...args: string[]): Credence {
  return new Credence(t, args, { TMPDIR: home, HOME: home, XDG_CACHE_HOME: home, NODE_DEBUG: "" });
}

/** In what a process says, and in its command line and environment, which others may read. */
function assertSilent(
  keys: PlantedKeys,
  { stdout, stderr }: Pick<Credence, "stdout" | "stderr">,
  what: string,
): void {
  assert.deepEqual(keys.find(stdout), [], `${what} on standard output`);
  assert.deepEqual(keys.find(stderr), [], `${what} on standard error`);
}

test("the search finds a key in whatever form it is written", async () => {
  for (const keyType of ["ec", "rsa", "ed25519"] as const) {
    const authority = await createAuthority("CA");
    const { privateKey, certificate } = await authority.issue({ commonName: "a", keyType });
    const other = await authority.issue({ commonName: "a", keyType });
    const keys = new PlantedKeys();
    keys.addKey("key", privateKey);
    const der = Buffer.from(privateKey.replace(/-----[^-]+-----|\s/g, ""), "base64");
    const forms: Record<string, string | Buffer> = {
      PEM: privateKey,
      "a line of JSON": JSON.stringify({ key: privateKey }),
      "a line cut off": privateKey.replaceAll("\n", " ").slice(0, keyType === "rsa" ? 600 : 130),
      bytes: der,
      hex: der.toString("hex"),
      "hex with colons": der
        .toString("hex")
        .toUpperCase()
        .replace(/..(?=.)/g, "$&:"),
      numbers: JSON.stringify(der.toJSON()),
      "data of a Secret": Buffer.from(privateKey).toString("base64"),
      base64url: der.toString("base64url"),
      "a query": encodeURIComponent(der.toString("base64")),
      "other bytes before": Buffer.concat([Buffer.from("x"), der]).toString("base64"),
    };
    for (const [form, text] of Object.entries(forms))
      assert.notDeepEqual(keys.find(text), [], `${keyType}: ${form}`);
    for (const text of [certificate, other.privateKey]) assert.deepEqual(keys.find(text), []);
  }
});

test("what is planted is there to be found", async (t) => {
  const { keys, path } = await plant(t);
  const found = keys.findBelow(path).map((text) => text.split(" ")[0]);
  for (const name of [
    "client",
    "server",
    "filed",
    "edwards",
    "password",
    "mismatch",
    "in-a-path",
    "file-der",
  ])
    assert.ok(found.includes(name), name);
});

test("no verb that reads prints a key, whatever is wrong with it", async (t) => {
  const { keys, path, home, renewed, port } = await plant(t);
  const key = join(path, "files/filed.key");
  const pasted = (...flags: string[]): string[] => flags.flatMap((flag) => [flag, key]);
  const verbs: readonly (readonly string[])[] = [
    ["check", path],
    ["check", path, "--format", "json", "--engine", "envoy"],
    ["dump", path],
    ["dump", path, "--engine", "envoy"],
    ["dump", path, "--engine", "envoy", "--validate"],
    ["explain", "GET", "https://localhost/client/", path],
    ["explain", "GET", "https://localhost/broken/mismatch/", path, "--format", "json"],
    ["explain", "GET", "https://localhost/", path, "--from-cert", join(path, "files/filed.key")],
    ["explain", "GET", "https://localhost/", path, "--from-cert", join(path, "files/file-der.key")],
    ["probe", "mapping/client", path],
    ["probe", "mapping/filed", path, "--format", "json"],
    ["probe", "mapping/mismatch", path],
    ["probe", "https://localhost:1", "--cert", join(path, "files/filed.key")],
    ["probe", "https://localhost:1", "--cert", join(path, "files/file-der.key")],
    [
      ...["probe", "https://localhost:1", "--cert", join(path, "files/filed.crt")],
      ...["--key", join(path, "files/filed.key"), "--ca", join(path, "files/filed.key")],
    ],
    ["migrate", path],
    ["migrate", path, "--format", "json"],
    ["certs", "list", path],
    ["certs", "list", path, "--format", "json"],
    ["probe", "mapping/client", path],
    ["probe", "mapping/filed", path, "--format", "json"],
    ["probe", "mapping/mismatch", path],
    ["probe", "mapping/file-everywhere", path],
    ["probe", `https://localhost:${port}/`, ...pasted("--cert", "--key", "--ca")],
    ["probe", `https://localhost:${port}/`, "--cert", key, "--key", join(path, "files/filed.crt")],
    ["probe", "tlscontext/server", path, "--offline", "--cert", key, "--key", key],
    ["check", path, "--fleet", key],
    ["certs", "rotate-check", "--admin", "http://127.0.0.1:9"],
    ["check", join(path, "files/filed.key")],
    ["check", join(path, "files/file-der.key"), "--format", "json"],
    ["check", path, readFileSync(join(path, "files/filed.key"), "utf8").slice(0, 20)],
  ];
  // Two at once: CI has as many processors.
  const left = [...verbs];
  const work = async (): Promise<void> => {
    for (let verb = left.shift(); verb !== undefined; verb = left.shift()) {
      const ended = await start(t, home, ...verb).ended;
      assert.ok(ended.code === 0 || ended.code === 1 || ended.code === 2, `${verb}: ${ended.stderr}`);
      assertSilent(keys, ended, verb.slice(0, 2).join(" "));
    }
  };
  await Promise.all([work(), work()]);
  const watching = start(t, home, "certs", "watch", path);
  await eventually(() => watching.stdout.includes("ending within"));
  writeFileSync(join(path, "a-client.yaml"), renewed);
  await eventually(() => watching.stdout.includes("rotated to generation 2"));
  watching.child.kill("SIGINT");
  assertSilent(keys, await watching.ended, "certs watch");
  assert.deepEqual(keys.findBelow(home), []);
});

for (const engine of ["node", "envoy"] as const) {
  test(`run --engine ${engine} writes no key: logs, access log, pages, metrics, files, while keys change and fail`, async (t) => {
    const { keys, path, home, renewed } = await plant(t);
    const readyFile = join(home, "ready.json");
    const run = start(
      t,
      home,
      ...["run", path, "--engine", engine, "--log-level", "debug", "--allow-partial", "--drain-seconds", "1"],
      ...["--log-format", engine === "node" ? "json" : "pretty"],
      ...["--http-port", "0", "--https-port", "0", "--admin-port", "0", "--ready-file", readyFile],
      ...(engine === "envoy" ? ["--envoy-concurrency", "1"] : []),
    );
    await eventually(() => {
      if (run.child.exitCode !== null) throw new Error(`run ended: ${run.stderr.slice(-2000)}`);
      return existsSync(readyFile);
    });
    const ready = JSON.parse(readFileSync(readyFile, "utf8")) as {
      pid: number;
      https: string;
      admin: string;
    };
    const look = async (when: string): Promise<void> => {
      for (const page of PAGES) {
        const { body } = await fetchText(`http://${ready.admin}${page}`);
        assert.deepEqual(keys.find(body), [], `${page} ${when}`);
      }
      assert.deepEqual(keys.findBelow(home), [], `files ${when}`);
      for (const file of ["cmdline", "environ"])
        assert.deepEqual(keys.find(readFileSync(`/proc/${ready.pid}/${file}`)), [], `${file} ${when}`);
    };
    const ask = async (target: string): Promise<number> => {
      const [host, port] = ready.https.split(":");
      const options = { host, port, path: target, headers: { host: "localhost" }, servername: "localhost" };
      const [response] = await once(
        request({ ...options, agent: false, rejectUnauthorized: false }).end(),
        "response",
      );
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk);
      assert.deepEqual(keys.find(Buffer.concat(chunks)), [], target);
      return response.statusCode;
    };
    assert.equal(await ask("/client/"), 200);
    for (const target of ["/filed/", "/broken/mismatch/", "/broken/file-der/", "/pasted/a/", "/pasted/b/"])
      assert.ok([200, 503].includes(await ask(target)), target);
    await look("at first");

    // The key in use is replaced, then broken, then the whole file is.
    const replace = (text: string): void => {
      writeFileSync(join(path, ".next"), text);
      renameSync(join(path, ".next"), join(path, "a-client.yaml"));
    };
    const generation = async (): Promise<string> =>
      (await fetchText(`http://${ready.admin}/metrics`)).body
        .split("\n")
        .find((line) =>
          /^credence_credential_generation\{.*secret\/default\/client",kind="credential"/.test(line),
        ) ?? "";
    replace(renewed);
    await eventually(async () => (await generation()).endsWith(" 2"));
    assert.equal(await ask("/client/"), 200);
    replace(renewed.replace(/tls.crt: .*/, "tls.crt: bm90aGluZw=="));
    await eventually(async () =>
      /kept-previous/.test((await fetchText(`http://${ready.admin}${DIAG}`)).body),
    );
    replace(`${renewed}  : [\n`);
    await eventually(() => /a-client\.yaml/.test(run.stderr));
    run.child.kill("SIGHUP");
    await eventually(() => /SIGHUP: reloading/.test(run.stderr));
    await look("after changes");
    if (engine === "envoy") {
      const dump = await envoyDump(home);
      assert.match(dump, /secret\/default\/client/);
      assert.deepEqual(keys.find(dump), [], "what Envoy's own admin interface tells");
    }

    run.child.kill("SIGTERM");
    await run.ended;
    assertSilent(keys, run, "run");
    assert.deepEqual(keys.findBelow(home), []);
  });
}

/** The configuration as Envoy has it, by the socket of its admin interface. */
async function envoyDump(home: string): Promise<string> {
  const socket = readdirSync(home, { recursive: true, encoding: "utf8" }).find((name) =>
    name.endsWith("admin.sock"),
  );
  const path = "/config_dump?include_eds";
  const [response] = await once(
    get({ socketPath: join(home, socket ?? "nowhere"), path, agent: false }),
    "response",
  );
  let body = "";
  for await (const piece of response.setEncoding("utf8")) body += piece;
  return body;
}

const DIAG = "/ambassador/v0/diag/?json=true";
const PAGES = [
  DIAG,
  "/ambassador/v0/diag/",
  "/ambassador/v0/diag/?filter=errors",
  "/metrics",
  "/ambassador/v0/check_ready",
  "/ambassador/v0/anchors",
];

test("keys that issuers deliver over a socket are nowhere else, good or bad", async (t) => {
  const { keys, path, home, authority, port } = await plant(t);
  const agent = await startWorkloadApi();
  t.after(() => agent.close());
  const issue = async (name: string) => {
    const svid = await issueSvid(authority, `spiffe://planted.example/${name}`);
    keys.addKey(name, svid.issued.privateKey);
    return svid;
  };
  const [first, second, third] = [await issue("first"), await issue("second"), await issue("third")];
  agent.answer({ svids: [first] });
  writeFileSync(
    join(path, "e-issued.yaml"),
    tlsContextYaml("issued", { identity: { spiffe: { socket: agent.path } } }) +
      mappingYaml("issued", { prefix: "/issued/", service: `https://localhost:${port}`, tls: "issued" }),
  );
  const readyFile = join(home, "ready.json");
  const run = start(
    t,
    home,
    ...[
      "run",
      path,
      "--log-level",
      "debug",
      "--log-format",
      "json",
      "--allow-partial",
      "--drain-seconds",
      "0",
    ],
    ...["--http-port", "0", "--https-port", "0", "--admin-port", "0", "--ready-file", readyFile],
  );
  await eventually(() => existsSync(readyFile));
  const { admin } = JSON.parse(readFileSync(readyFile, "utf8")) as { admin: string };
  const page = async (): Promise<string> => (await fetchText(`http://${admin}${DIAG}`)).body;
  await eventually(async () => (await page()).includes("spiffe://planted.example/first"));
  const watching = start(t, home, "certs", "watch", path);
  await eventually(() => watching.stdout.includes("ending within"));
  agent.answer({ svids: [second] });
  await eventually(async () => (await page()).includes("spiffe://planted.example/second"));
  await eventually(() => /rotated to generation 2/.test(watching.stdout));
  // The key of another, and what is no key at all.
  agent.answer({ svids: [{ ...second, x509SvidKey: third.x509SvidKey }] });
  await eventually(async () => (await page()).includes("private-key-mismatch"));
  agent.answer({
    svids: [{ ...second, x509Svid: third.x509SvidKey, x509SvidKey: third.x509SvidKey.slice(0, 90) }],
  });
  await eventually(() => (run.stderr.match(/spiffe/g)?.length ?? 0) > 3);
  for (const at of PAGES) assert.deepEqual(keys.find((await fetchText(`http://${admin}${at}`)).body), [], at);
  run.child.kill("SIGTERM");
  watching.child.kill("SIGINT");
  assertSilent(keys, await run.ended, "run with an issuer");
  assertSilent(keys, await watching.ended, "certs watch with an issuer");
  assert.deepEqual(keys.findBelow(home), []);
});

test("a run that cannot start, and one that crashes, say why without a key", async (t) => {
  const { keys, path, home } = await plant(t);
  const ports = ["--http-port", "0", "--https-port", "0", "--admin-port", "0", "--log-level", "debug"];
  // What happens to a gateway by a fault of its own: an error that nobody catches, once everything is loaded.
  const fault = `data:text/javascript,${encodeURIComponent(
    'setInterval(() => { if (process.env.FAULT_AT && (await0(process.env.FAULT_AT))) throw new Error("a fault of the test"); }, 50); import { existsSync as await0 } from "node:fs";',
  )}`;
  const failures: readonly { args: readonly string[]; environment?: Record<string, string>; code: number }[] =
    [
      {
        args: ["run", path, ...ports, "--allow-partial", "--ready-file", join(home, "nowhere/ready.json")],
        code: 1,
      },
      { args: ["run", path, ...ports, "--admin-address", "192.0.2.1"], code: 1 },
      {
        args: ["run", path, ...ports, "--allow-partial", "--ready-file", join(home, "ready.json")],
        environment: { NODE_OPTIONS: `--import=${fault}`, FAULT_AT: join(home, "ready.json") },
        code: 70,
      },
      {
        args: ["run", path, "--engine", "envoy", "--envoy", join(path, "files/filed.key"), ...ports],
        code: 1,
      },
    ];
  for (const { args, environment = {}, code } of failures) {
    const run = new Credence(t, args, { TMPDIR: home, HOME: home, ...environment });
    const ended = await run.ended;
    assert.equal(ended.code, code, ended.stderr.slice(-2000));
    assertSilent(keys, ended, args.slice(-2).join(" "));
  }
  assert.deepEqual(keys.findBelow(home), []);
});

test("a control plane writes no key, neither of its resources nor its own", async (t) => {
  const { keys, path, home, authority } = await plant(t);
  const own = await authority.issue({
    commonName: "xds",
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
  });
  keys.addKey("xds", own.privateKey);
  const pki = scratch(t, {
    "ca.pem": authority.certificate,
    "xds.crt": own.certificate,
    "xds.key": own.privateKey,
    "both.pem": own.privateKey.slice(0, 100),
  });
  const readyFile = join(home, "ready.json");
  const flags = (certificate: string, key: string): string[] => [
    ...["control-plane", path, "--xds-address", "127.0.0.1:0", "--xds-cert", join(pki, certificate)],
    ...["--xds-key", join(pki, key), "--xds-client-ca", join(pki, "ca.pem"), "--allow-partial"],
    ...["--admin-port", "0", "--ready-file", readyFile, "--log-level", "debug", "--log-format", "json"],
  ];
  for (const [certificate, key] of [
    ["xds.key", "xds.crt"],
    ["xds.crt", "both.pem"],
    ["xds.key", "xds.key"],
  ] as const) {
    const ended = await start(t, home, ...flags(certificate, key)).ended;
    assert.equal(ended.code, 1, ended.stderr.slice(-500));
    assertSilent(keys, ended, `control-plane with ${certificate} and ${key}`);
  }
  const plane = start(t, home, ...flags("xds.crt", "xds.key"));
  await eventually(() => {
    if (plane.child.exitCode !== null) throw new Error(`it ended: ${plane.stderr.slice(-2000)}`);
    return existsSync(readyFile);
  });
  const ready = JSON.parse(readFileSync(readyFile, "utf8")) as { admin: string; xds: string };
  for (const page of PAGES)
    assert.deepEqual(keys.find((await fetchText(`http://${ready.admin}${page}`)).body), [], page);
  const bootstrap = await start(
    t,
    home,
    ...["envoy", "bootstrap", "--xds-address", ready.xds, "--ca", join(pki, "ca.pem"), "--node-id", "edge"],
    ...["--cert", join(pki, "xds.crt"), "--key", join(pki, "xds.key"), "--directory", join(home, "envoy")],
  ).ended;
  assert.equal(bootstrap.code, 0, bootstrap.stderr);
  assertSilent(keys, bootstrap, "envoy bootstrap");
  // A key that breaks while it serves.
  writeFileSync(join(pki, "xds.key"), own.privateKey.slice(0, 120));
  await eventually(() => /xds\.key|private key/i.test(plane.stderr.slice(-4000)));
  plane.child.kill("SIGTERM");
  await plane.ended;
  assertSilent(keys, plane, "control-plane");
  assert.deepEqual(keys.findBelow(home), []);
});
