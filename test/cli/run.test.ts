import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { Credence, credence, eventually, fetchText, mapping, scratch, startRun } from "./credence.ts";

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

function resources(t: TestContext): string {
  return scratch(t, { "a.yaml": mapping("a", "/a/", service) });
}

test("serves; the ready file says where, exactly, and is gone at the end", async (t) => {
  const { process: run, ready, readyFile } = await startRun(t, resources(t));
  const text = readFileSync(readyFile, "utf8");
  assert.equal(text, `${JSON.stringify(ready)}\n`);
  assert.deepEqual(Object.keys(ready), ["pid", "revision", "http", "https", "admin"]);
  assert.equal(ready.pid, run.child.pid);
  assert.equal(ready.revision, 1);
  assert.match(ready.http, /^127\.0\.0\.1:\d+$/);
  assert.equal(ready.https, null);

  const answer = await fetchText(`http://${ready.http}/a/b`);
  assert.deepEqual(answer, { status: 200, body: "upstream saw /b" });
  assert.equal((await fetchText(`http://${ready.admin}/ambassador/v0/check_ready`)).status, 200);

  run.child.kill("SIGTERM");
  const { code, signal, stdout, stderr } = await run.ended;
  assert.deepEqual([code, signal], [0, null]);
  assert.ok(!existsSync(readyFile));
  // Access log on standard output, the rest on standard error: JSON lines both.
  const [line, ...others] = stdout
    .trimEnd()
    .split("\n")
    .map((text) => JSON.parse(text));
  assert.deepEqual(
    [line.method, line.path, line.status, line.route],
    ["GET", "/a/b", 200, "mapping/default/a"],
  );
  assert.deepEqual(others, []);
  for (const text of stderr.trimEnd().split("\n")) assert.equal(typeof JSON.parse(text).msg, "string");
});

test("a ready file that a killed process left is gone before another is ready", async (t) => {
  const folder = resources(t);
  const first = await startRun(t, folder);
  first.process.child.kill("SIGKILL");
  await first.process.ended;
  assert.ok(existsSync(first.readyFile));
  // It cannot be ready, as its port is taken.
  const taken = createTcpServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.once("listening", resolve));
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const ports = ["--http-port", String(port), "--admin-port", "0"];
  const second = await credence(t, "run", folder, ...ports, "--ready-file", first.readyFile);
  assert.equal(second.code, 1);
  assert.ok(!existsSync(first.readyFile));
});

test("malloc has huge pages and keeps free chunks at hand, unless the environment says something of malloc itself", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", "127.0.0.1:1") });
  const environment = (pid: number): string => readFileSync(`/proc/${pid}/environ`, "latin1");
  const { process: run, ready } = await startRun(t, folder);
  assert.equal(ready.pid, run.child.pid);
  // glibc ends each setting with NUL where it stands.
  assert.match(
    environment(ready.pid),
    /\0GLIBC_TUNABLES=glibc\.malloc\.hugetlb=1.glibc\.malloc\.tcache_count=200\0/s,
  );

  process.env["MALLOC_ARENA_MAX"] = "4";
  t.after(() => delete process.env["MALLOC_ARENA_MAX"]);
  const { ready: own } = await startRun(t, folder);
  assert.doesNotMatch(environment(own.pid), /GLIBC_TUNABLES/);
});

test("compiled code is kept in the user's own cache; without one it starts as well", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", "127.0.0.1:1"), taken: "" });
  const cache = scratch(t);
  const answers = async (XDG_CACHE_HOME: string) =>
    (await new Credence(t, ["check", join(folder, "a.yaml")], { XDG_CACHE_HOME }).ended).code;
  assert.equal(await answers(cache), 0);
  const kept = readdirSync(join(cache, "credence"), { recursive: true });
  assert.ok(kept.length > 1);
  assert.equal(await answers(cache), 0);
  assert.equal(await answers(join(folder, "taken")), 0);
});

test("--no-access-log writes nothing on standard output", async (t) => {
  const { process: run, ready } = await startRun(t, resources(t), "--no-access-log");
  assert.equal((await fetchText(`http://${ready.http}/a/`)).status, 200);
  run.child.kill("SIGINT");
  const { code, stdout } = await run.ended;
  assert.deepEqual([code, stdout], [0, ""]);
});

test("SIGTERM finishes what is in flight, and is not ready meanwhile", async (t) => {
  const { process: run, ready, readyFile } = await startRun(t, resources(t));
  const before = arrived;
  const slow = fetchText(`http://${ready.http}/a/slow`);
  await eventually(() => arrived > before);
  run.child.kill("SIGTERM");
  await eventually(() => !existsSync(readyFile));
  run.child.kill("SIGHUP");
  const unready = await fetchText(`http://${ready.admin}/ambassador/v0/check_ready`);
  assert.equal(unready.status, 503);
  assert.match(unready.body, /shutting down/);
  await assert.rejects(fetchText(`http://${ready.http}/a/`), /ECONNREFUSED/);
  assert.equal(run.child.exitCode, null);
  release();
  assert.deepEqual(await slow, { status: 200, body: "slow answer" });
  const { code, stderr } = await run.ended;
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /reloading/);
});

test("a ready file that cannot be removed costs no request in flight", async (t) => {
  const { process: run, ready, readyFile } = await startRun(t, resources(t));
  const before = arrived;
  const slow = fetchText(`http://${ready.http}/a/slow`);
  await eventually(() => arrived > before);
  rmSync(readyFile);
  mkdirSync(readyFile);
  run.child.kill("SIGTERM");
  await eventually(() => run.stderr.includes("cannot be removed"));
  assert.match(run.stderr, /the ready file \S+ cannot be removed: \w+/);
  release();
  assert.deepEqual(await slow, { status: 200, body: "slow answer" });
  assert.equal((await run.ended).code, 0);
});

test("--drain-seconds bounds the wait", async (t) => {
  const { process: run, ready } = await startRun(t, resources(t), "--drain-seconds", "1");
  const before = arrived;
  const slow = fetchText(`http://${ready.http}/a/slow`).catch(() => "cut");
  await eventually(() => arrived > before);
  const started = performance.now();
  run.child.kill("SIGTERM");
  assert.equal((await run.ended).code, 0);
  const waited = performance.now() - started;
  assert.ok(waited > 900 && waited < 5000, `${waited} ms`);
  assert.equal(await slow, "cut");
});

for (const [signal, status] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const) {
  test(`a second ${signal} exits at once with ${status}`, async (t) => {
    const { process: run, ready, readyFile } = await startRun(t, resources(t));
    const before = arrived;
    const slow = fetchText(`http://${ready.http}/a/slow`).catch(() => "cut");
    await eventually(() => arrived > before);
    run.child.kill(signal);
    await eventually(() => !existsSync(readyFile));
    run.child.kill(signal);
    assert.equal((await run.ended).code, status);
    assert.equal(await slow, "cut");
  });
}

test("a change is followed; one that cannot be used keeps the last good, and says so", async (t) => {
  const folder = resources(t);
  const { ready } = await startRun(t, folder);
  const file = join(folder, "a.yaml");
  const get = (path: string) => fetchText(`http://${ready.http}${path}`);
  writeFileSync(file, mapping("a", "/b/", service));
  await eventually(async () => (await get("/b/x")).status === 200);
  assert.equal((await get("/a/x")).status, 404);

  writeFileSync(file, "apiVersion: [getambassador.io/v2\nkind: {\n");
  const errors = async (): Promise<{ code: string }[]> =>
    JSON.parse((await fetchText(`http://${ready.admin}/ambassador/v0/diag/?json=true&filter=errors`)).body)
      .diagnostics;
  await eventually(async () => (await errors()).some(({ code }) => code === "yaml-syntax"));
  assert.equal((await get("/b/x")).status, 200);
  assert.equal((await fetchText(`http://${ready.admin}/ambassador/v0/check_ready`)).status, 200);
});

test("SIGHUP reloads", async (t) => {
  const { process: run } = await startRun(t, resources(t));
  run.child.kill("SIGHUP");
  await eventually(() => run.stderr.includes("SIGHUP: reloading"));
  run.child.kill("SIGTERM");
  assert.equal((await run.ended).code, 0);
});

test("documents that cannot be read at the start are an error on readiness, unless --allow-partial", async (t) => {
  const folder = resources(t);
  writeFileSync(join(folder, "broken.yaml"), "a: [\n");
  const strict = await startRun(t, folder);
  const answer = await fetchText(`http://${strict.ready.admin}/ambassador/v0/check_ready`);
  assert.equal(answer.status, 503);
  assert.match(answer.body, /--allow-partial/);
  assert.equal((await fetchText(`http://${strict.ready.http}/a/`)).status, 200);
  const lenient = await startRun(t, folder, "--allow-partial");
  assert.equal((await fetchText(`http://${lenient.ready.admin}/ambassador/v0/check_ready`)).status, 200);
});

test("a port that is taken is a clear error; exit 1, and nothing is left behind", async (t) => {
  const taken = createTcpServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  t.after(() => taken.close());
  const port = String((taken.address() as AddressInfo).port);
  const folder = resources(t);
  const readyFile = join(scratch(t), "ready.json");
  const start = (http: string, admin: string) =>
    new Credence(t, [
      "run",
      folder,
      ...["--http-port", http, "--admin-port", admin, "--ready-file", readyFile, "--log-level", "silent"],
    ]).ended;
  const http = await start(port, "0");
  assert.equal(http.code, 1);
  assert.match(http.stderr, new RegExp(`^credence: .*${port}: EADDRINUSE`, "m"));
  const admin = await start("0", port);
  assert.equal(admin.code, 1);
  assert.match(admin.stderr, new RegExp(`^credence: .*${port}: EADDRINUSE.*--admin-port`, "m"));
  assert.ok(!existsSync(readyFile));
});

test("a route that fails closed: the id of the answer is in the log, the access log and the page", async (t) => {
  const folder = scratch(t, { "a.yaml": `${mapping("a", "/a/", service)}  tls: nobody\n` });
  const { process: run, ready } = await startRun(t, folder);
  const { status, body } = await fetchText(`http://${ready.http}/a/`);
  assert.equal(status, 503);
  const { id } = JSON.parse(body);
  const page = await fetchText(`http://${ready.admin}/ambassador/v0/diag/?json=true&failure=${id}`);
  const [failure] = JSON.parse(page.body).failures;
  assert.deepEqual(
    [failure.id, failure.route, failure.cause],
    [id, "mapping/default/a", "tls-context-missing"],
  );
  run.child.kill("SIGTERM");
  const { stdout, stderr } = await run.ended;
  const line = JSON.parse(stdout.trimEnd());
  assert.deepEqual([line.failure_id, line.failure], [id, "route_fails_closed"]);
  const logged = stderr
    .trimEnd()
    .split("\n")
    .map((text) => JSON.parse(text))
    .find(({ failure_id }) => failure_id === id);
  assert.equal(logged?.cause, "tls-context-missing");
});

test("why an upstream was not reached is in the log, the access log, the page and the metrics", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", "127.0.0.1:1") });
  const { process: run, ready } = await startRun(t, folder);
  assert.equal((await fetchText(`http://${ready.http}/a/`)).status, 503);
  const json = await fetchText(`http://${ready.admin}/ambassador/v0/diag/?json=true`);
  const [failure] = JSON.parse(json.body).failures;
  assert.deepEqual(
    [failure.reason, failure.handshake, failure.is],
    ["upstream_connect_refused", "connect_refused", "nothing listens there"],
  );
  const page = await fetchText(`http://${ready.admin}/ambassador/v0/diag/`);
  assert.match(page.body, /<code>connect_refused<\/code> nothing listens there/);
  assert.ok(page.body.includes(failure.remedy));
  const metrics = await fetchText(`http://${ready.admin}/metrics`);
  assert.match(
    metrics.body,
    /^credence_handshake_failures_total\{direction="upstream",reason="connect_refused"\} 1$/m,
  );
  run.child.kill("SIGTERM");
  const { stdout, stderr } = await run.ended;
  assert.equal(JSON.parse(stdout.trimEnd()).handshake, "connect_refused");
  const logged = stderr.split("\n").find((text) => text.includes(failure.id)) ?? "{}";
  assert.equal(JSON.parse(logged).handshake, "connect_refused");
});

test("limits are flags", async (t) => {
  const { ready } = await startRun(t, resources(t), "--max-head-kib", "1", "--max-connections", "1");
  const [host, port] = ready.http.split(":") as [string, string];
  const first = connect(Number(port), host);
  first.on("error", () => {});
  let answer = "";
  first.on("data", (piece) => {
    answer += piece;
  });
  first.write("GET /a/ HTTP/1.1\r\nHost: a\r\n");
  await new Promise((resolve) => setTimeout(resolve, 100));
  await assert.rejects(fetchText(`http://${ready.http}/a/`));
  first.write(`X-Long: ${"x".repeat(2000)}\r\n\r\n`);
  await eventually(() => answer.includes("\r\n"));
  assert.match(answer, /^HTTP\/1\.1 431 /);
  first.destroy();
});

test("paths may be replaced as Kubernetes and editors do, by rename", async (t) => {
  const folder = resources(t);
  const { ready } = await startRun(t, folder);
  writeFileSync(join(folder, ".new"), mapping("a", "/c/", service));
  renameSync(join(folder, ".new"), join(folder, "a.yaml"));
  await eventually(async () => (await fetchText(`http://${ready.http}/c/x`)).status === 200);
});
