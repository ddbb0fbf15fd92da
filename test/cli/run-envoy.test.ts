import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { startUpstream } from "../support/upstream.ts";
import { Credence, eventually, fetchText, mapping, scratch, startRun } from "./credence.ts";

/** Answers with the path; `/slow` when `release` is called. */
let upstream: Server;
let service: string;
let release: () => void = () => {};
let arrived = 0;

before(async () => {
  upstream = createServer((request, response) => {
    arrived++;
    if (request.url === "/slow") release = () => response.end("slow answer");
    else response.end(`upstream saw ${request.url}`);
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  service = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
});
after(() => {
  upstream.close();
  upstream.closeAllConnections();
});

const ENVOY = ["--engine", "envoy", "--envoy-concurrency", "1"];

interface Report {
  readonly diagnostics: readonly { readonly code: string }[];
  readonly engines: readonly {
    readonly proxies: readonly {
      readonly node: string;
      readonly revision: number | null;
      readonly upToDate: boolean;
      readonly process: { readonly phase: string; readonly pid: number; readonly starts: number };
    }[];
  }[];
}

async function diag(admin: string): Promise<Report> {
  return JSON.parse((await fetchText(`http://${admin}/ambassador/v0/diag/?json=true`)).body) as Report;
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function runDirectories(): string[] {
  return readdirSync(tmpdir()).filter(
    (name) => /^credence-[A-Za-z0-9]{6}$/.test(name) && existsSync(join(tmpdir(), name, "bootstrap.json")),
  );
}

test("a mutual-TLS upstream is reached through Envoy, changes are followed, and the page shows who has what", async (t) => {
  const { ca, client } = await certificates();
  const secure = await startUpstream("mtls");
  t.after(() => secure.close());
  const folder = scratch(t, {
    "a.yaml":
      mappingYaml("a", { prefix: "/a/", service: `https://localhost:${secure.port}`, tls: "up" }) +
      tlsContextYaml("up", { secret: "certs" }) +
      secretYaml("certs", {
        certificate: client.certificate,
        privateKey: client.privateKey,
        ca: ca.certificate,
      }),
  });
  const { process: run, ready } = await startRun(t, folder, ...ENVOY);
  const answer = await fetchText(`http://${ready.http}/a/b`);
  assert.equal(answer.status, 200, answer.body);
  assert.match((JSON.parse(answer.body) as { clientSubject: string }).clientSubject, /CN=gateway/);

  writeFileSync(join(folder, "b.yaml"), mapping("b", "/b/", service));
  await eventually(async () => (await fetchText(`http://${ready.http}/b/x`)).body === "upstream saw /x");
  const [engine] = (await diag(ready.admin)).engines;
  const [proxy] = engine?.proxies ?? [];
  assert.deepEqual([proxy?.revision, proxy?.upToDate, proxy?.process.phase], [2, true, "live"]);
  const page = await fetchText(`http://${ready.admin}/ambassador/v0/diag/`);
  assert.match(page.body, /Envoys \(1\)[\s\S]*up to date/);
  const metrics = (await fetchText(`http://${ready.admin}/metrics`)).body;
  for (const line of [
    /^credence_envoy_live 1$/m,
    /^credence_envoy_revision\{node="gateway"\} 2$/m,
    /^credence_xds_bytes_total\{node="gateway"\} [1-9]/m,
    /^credence_xds_nacks_total\{node="gateway"\} 0$/m,
  ])
    assert.match(metrics, line);
  for (const text of [run.stderr, page.body]) assert.ok(!text.includes("PRIVATE KEY"));
});

test("an Envoy that is killed is started again, with all it had", async (t) => {
  const { ready } = await startRun(t, scratch(t, { "a.yaml": mapping("a", "/a/", service) }), ...ENVOY);
  const [before] = (await diag(ready.admin)).engines[0]?.proxies ?? [];
  process.kill(before?.process.pid as number, "SIGKILL");
  // It says that nothing is served for as long as that is so.
  const isReady = async (): Promise<number> =>
    (await fetchText(`http://${ready.admin}/ambassador/v0/check_ready`)).status;
  await eventually(async () => (await isReady()) === 503);
  await eventually(async () => (await isReady()) === 200);
  await eventually(async () => {
    const [now] = (await diag(ready.admin)).engines[0]?.proxies ?? [];
    return now?.process.starts === 2 && now.process.phase === "live" && now.upToDate;
  });
  assert.equal((await fetchText(`http://${ready.http}/a/b`)).body, "upstream saw /b");
});

test("SIGTERM finishes what is in flight; Envoy and its folder are gone afterwards", async (t) => {
  const others = new Set(runDirectories());
  const {
    process: run,
    ready,
    readyFile,
  } = await startRun(t, scratch(t, { "a.yaml": mapping("a", "/a/", service) }), ...ENVOY);
  const own = runDirectories().filter((name) => !others.has(name));
  assert.ok(own.length > 0);
  const pid = (await diag(ready.admin)).engines[0]?.proxies[0]?.process.pid as number;
  const before = arrived;
  const slow = fetchText(`http://${ready.http}/a/slow`);
  await eventually(() => arrived > before);
  run.child.kill("SIGTERM");
  await eventually(() => !existsSync(readyFile));
  await eventually(() =>
    fetchText(`http://${ready.http}/a/`).then(
      () => false,
      (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
    ),
  );
  assert.equal(run.child.exitCode, null);
  release();
  assert.deepEqual(await slow, { status: 200, body: "slow answer" });
  assert.equal((await run.ended).code, 0);
  assert.ok(!lives(pid));
  const left = runDirectories();
  assert.ok(own.some((name) => !left.includes(name)));
});

test("a Credence that is killed leaves no Envoy behind", async (t) => {
  const { process: run, ready } = await startRun(
    t,
    scratch(t, { "a.yaml": mapping("a", "/a/", service) }),
    ...ENVOY,
  );
  const pid = (await diag(ready.admin)).engines[0]?.proxies[0]?.process.pid as number;
  run.child.kill("SIGKILL");
  await eventually(() => !lives(pid));
});

test("without an Envoy it is said what to do; limits that Envoy does not have are said too", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", service) });
  const missing = await new Credence(t, ["run", folder, "--engine", "envoy", "--envoy", "/nonexistent/envoy"])
    .ended;
  assert.equal(missing.code, 1);
  assert.match(
    missing.stderr,
    /^credence: --envoy names \/nonexistent\/envoy, which does not exist\. Install/,
  );
  const { process: run, ready } = await startRun(
    t,
    folder,
    ...[...ENVOY, "--max-headers", "20", "--max-requests", "5"],
  );
  assert.match(run.stderr, /"flags":\["--max-requests"\]/);
  const many = Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`x-${index}`, "1"]));
  assert.equal((await fetch(`http://${ready.http}/a/`)).status, 200);
  const { status } = await fetch(`http://${ready.http}/a/`, { headers: many });
  assert.ok(status === 431 || status === 400, `${status}`);
});

test("dump shows the xDS resources and fingerprints, no key; --validate asks Envoy", async (t) => {
  const { ca, client } = await certificates();
  const folder = scratch(t, {
    "a.yaml":
      mappingYaml("a", { prefix: "/a/", service: "https://localhost:1", tls: "up" }) +
      tlsContextYaml("up", { secret: "certs" }) +
      secretYaml("certs", {
        certificate: client.certificate,
        privateKey: client.privateKey,
        ca: ca.certificate,
      }),
  });
  const dumped = await new Credence(t, ["dump", "--engine", "envoy", folder]).ended;
  assert.deepEqual([dumped.code, dumped.stderr], [0, ""]);
  const { resources, secrets } = JSON.parse(dumped.stdout) as {
    resources: Record<string, Record<string, unknown>>;
    secrets: Record<string, { certificates: string[]; publicKey?: string }>;
  };
  for (const kind of ["cluster", "listener", "route-configuration", "virtual-host"])
    assert.ok(Object.keys(resources[kind] ?? {}).length > 0, kind);
  assert.deepEqual(Object.keys(secrets), ["credential:secret/default/certs", "trust:secret/default/certs"]);
  for (const { certificates } of Object.values(secrets)) assert.match(certificates.join(), /^[0-9a-f]{64}$/);
  assert.match(secrets["credential:secret/default/certs"]?.publicKey ?? "", /^[0-9a-f]{64}$/);
  assert.ok(!/PRIVATE KEY|BEGIN/.test(dumped.stdout));
  const key = client.privateKey.split("\n").slice(1, -2).join("");
  assert.ok(!dumped.stdout.includes(key.slice(10, 50)));

  const validated = await new Credence(t, ["dump", "--engine", "envoy", "--validate", folder]).ended;
  assert.deepEqual([validated.code, validated.stderr], [0, ""]);
  assert.match(validated.stdout, /^OK: Envoy takes these \d+ resources\n$/);
  const misused = await new Credence(t, ["dump", "--validate", folder]).ended;
  assert.equal(misused.code, 2);
});

test("the node engine's start loads no messages of Envoy's", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", service) });
  const loaded = join(folder, "loaded.txt");
  // Node tells each module that it loads.
  const hook = `data:text/javascript,${encodeURIComponent(`
    import { registerHooks } from "node:module";
    import { appendFileSync } from "node:fs";
    registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(loaded)}, url + "\\n"); return next(url, context); } });
  `)}`;
  const run = new Credence(
    t,
    ["run", folder, "--http-port", "0", "--admin-port", "0", "--ready-file", join(folder, "ready.json")],
    { NODE_OPTIONS: `--import=${hook}` },
  );
  await eventually(() => existsSync(join(folder, "ready.json")));
  run.child.kill("SIGTERM");
  await run.ended;
  const modules = readFileSync(loaded, "utf8").split("\n");
  assert.ok(modules.some((url) => url.endsWith("/engines/node/engine.ts")));
  assert.deepEqual(
    // What is dialled is said without messages.
    modules.filter((url) =>
      /\/protobuf\/(?!socket-dial\.ts)|@bufbuild|@connectrpc|\/engines\/envoy\//.test(url),
    ),
    [],
  );
});

test("a port that another gateway's Envoy has is refused, though Envoys could share it", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", service) });
  const { ready } = await startRun(t, folder, ...ENVOY);
  const port = ready.http.split(":")[1] as string;
  const second = new Credence(t, ["run", folder, ...ENVOY, "--http-port", port, "--admin-port", "0"]);
  // One that serves does not end.
  await eventually(() => second.child.exitCode !== null);
  const { code, stderr } = await second.ended;
  assert.equal(code, 1);
  assert.match(
    stderr,
    new RegExp(`^credence: listener http cannot open 127\\.0\\.0\\.1:${port}: EADDRINUSE\\. Free`, "m"),
  );
  // A change of ours on a port that we have is none of that.
  writeFileSync(join(folder, "b.yaml"), mapping("b", "/b/", service));
  await eventually(async () => (await fetchText(`http://${ready.http}/b/x`)).body === "upstream saw /x");
});

test("SIGTERM lets a TCPMapping's connection end by itself", async (t) => {
  const echo = createTcpServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
  t.after(() => echo.close());
  const free = createTcpServer();
  await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const spec = { port, address: "127.0.0.1", service: `127.0.0.1:${(echo.address() as AddressInfo).port}` };
  const object = { apiVersion: "getambassador.io/v2", kind: "TCPMapping", metadata: { name: "t" }, spec };
  const folder = scratch(t, { "a.yaml": JSON.stringify(object) });
  const { process: run, readyFile } = await startRun(t, folder, ...ENVOY);
  const socket = connect(port, "127.0.0.1");
  let received = "";
  socket.setEncoding("utf8").on("data", (piece) => {
    received += piece;
  });
  socket.write("before");
  await eventually(() => received === "before");
  run.child.kill("SIGTERM");
  await eventually(() => !existsSync(readyFile));
  await eventually(
    () =>
      new Promise((resolve) => {
        const late = connect(port, "127.0.0.1", () => {
          late.destroy();
          resolve(false);
        });
        late.once("error", () => resolve(true));
      }),
  );
  // Longer than an idle Envoy is waited for.
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(run.child.exitCode, null);
  socket.write(", after");
  await eventually(() => received === "before, after");
  socket.end();
  assert.equal((await run.ended).code, 0);
});

test("what fails is on the page by the id that the client was told; requests are on standard output", async (t) => {
  const free = createTcpServer();
  await new Promise<void>((resolve) => free.listen(0, "127.0.0.1", resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  const folder = scratch(t, {
    "a.yaml": `${mapping("a", "/a/", service)}---\n${mapping("gone", "/gone/", `127.0.0.1:${port}`)}`,
  });
  const { process: run, ready } = await startRun(t, folder, ...ENVOY);
  assert.equal((await fetchText(`http://${ready.http}/a/b`)).status, 200);
  const failed = await fetchText(`http://${ready.http}/gone/`);
  assert.equal(failed.status, 503);
  interface Failures {
    readonly failures: readonly { id: string; reason: string; route: string }[];
  }
  const failures = async () => ((await diag(ready.admin)) as unknown as Failures).failures;
  await eventually(async () => (await failures()).length > 0);
  const [failure] = await failures();
  assert.equal(failure?.route, "mapping/default/gone");
  assert.ok(failed.body.includes(failure.id), failed.body);
  const metrics = (await fetchText(`http://${ready.admin}/metrics`)).body;
  assert.match(metrics, new RegExp(`^credence_failures_total\\{reason="${failure.reason}"\\} 1$`, "m"));
  run.child.kill("SIGTERM");
  const { stdout } = await run.ended;
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ method, status, route }) => [method, status, route]),
    [
      ["GET", 200, "mapping/default/a"],
      ["GET", 503, "mapping/default/gone"],
    ],
  );
});

test("the access log has the path as it came, and why a route fails", async (t) => {
  const folder = scratch(t, {
    "a.yaml":
      mappingYaml("a", { prefix: "/a/", rewrite: "/upstream/", service }) +
      mappingYaml("closed", { prefix: "/closed/", service: "https://localhost:1", tls: "nobody" }),
  });
  const { process: run, ready } = await startRun(t, folder, ...ENVOY);
  assert.equal((await fetchText(`http://${ready.http}/a/b?c=d`)).body, "upstream saw /upstream/b?c=d");
  assert.equal((await fetchText(`http://${ready.http}/closed/x`)).status, 503);
  assert.equal((await fetchText(`http://${ready.http}/none`)).status, 404);
  const lines = (): { path: string; failure: string | null; status: number }[] =>
    run.stdout
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  await eventually(() => lines().length >= 3);
  assert.deepEqual(
    lines().map(({ path, failure, status }) => [path, status, failure]),
    [
      ["/a/b?c=d", 200, null],
      ["/closed/x", 503, "route_fails_closed"],
      ["/none", 404, lines()[2]?.failure ?? null],
    ],
  );
});
