import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:https";
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createAuthority } from "../../src/x509/authority.ts";
import { PlantedKeys } from "../support/planted-keys.ts";
import { eventually, fetchText, scratch } from "./credence.ts";
import { assertPagesSilent, assertSilent, DIAG, envoyDump, plant, start } from "./key-hunt.ts";

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
  // Of verbs that stay: the tests beside this one, and below.
  const others = ["run", "control-plane", "envoy bootstrap", "certs watch", "certs dev", "demo"];
  const tried = new Set([
    ...others,
    ...verbs.map(([verb = "", next]) => (verb === "certs" ? `${verb} ${next}` : verb)),
  ]);
  assert.deepEqual([...tried].sort(), (await everyVerb(t, home)).sort());
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

test("a PKI to develop with has its keys in files for their owner, and nowhere else; the demo has none", async (t) => {
  const home = scratch(t);
  const made = await start(t, home, "certs", "dev", join(home, "pki")).ended;
  assert.equal(made.code, 0, made.stderr);
  const keys = new PlantedKeys();
  const files = readdirSync(join(home, "pki"), { recursive: true, encoding: "utf8" }).map((name) =>
    join(home, "pki", name),
  );
  const isKey = (path: string): boolean =>
    statSync(path).isFile() && /PRIVATE KEY-----\s+[\w+/]{40}/.test(readFileSync(path, "latin1"));
  const own = files.filter((path) => isKey(path) || path.endsWith("secrets.yaml"));
  assert.equal(own.length, 3, own.join());
  for (const path of own) {
    assert.equal(statSync(path).mode & 0o077, 0, path);
    if (isKey(path)) keys.addKey(path, readFileSync(path, "utf8"));
  }
  assertSilent(keys, made, "certs dev");
  assert.deepEqual(
    keys.findBelow(home, (path) => own.includes(path)),
    [],
  );

  const demo = start(t, home, "demo");
  await eventually(() => demo.child.exitCode !== null || /200/.test(demo.stdout + demo.stderr));
  demo.child.kill("SIGINT");
  const { stdout, stderr } = await demo.ended;
  assert.doesNotMatch(stdout + stderr, /PRIVATE KEY/);
  for (const name of readdirSync(home, { recursive: true, encoding: "utf8" })) {
    const path = join(home, name);
    if (!path.startsWith(join(home, "pki"))) assert.ok(!statSync(path).isFile() || !isKey(path), path);
  }
});

/** As the program tells them, those of groups with the name of the group. */
async function everyVerb(t: TestContext, home: string): Promise<string[]> {
  const verbsOf = async (...group: string[]): Promise<string[]> => {
    const { stdout } = await start(t, home, ...group, "--help").ended;
    const listed = stdout.split("Commands:\n")[1]?.split("\n\n")[0] ?? "";
    const names = [...listed.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name as string);
    return names.filter((name) => name !== "help");
  };
  const found = (await verbsOf()).map(async (verb) => {
    const inner = await verbsOf(verb);
    return inner.length === 0 ? [verb] : inner.map((name) => `${verb} ${name}`);
  });
  return (await Promise.all(found)).flat();
}

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
      await assertPagesSilent(keys, ready.admin, when);
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
