import assert from "node:assert/strict";
import { test } from "node:test";
import { Credence, credence, mapping, scratch } from "./credence.ts";

test("--help names every verb, and each verb's help its flags and examples", async (t) => {
  const top = await credence(t, "--help");
  assert.equal(top.code, 0);
  for (const verb of ["run", "check", "explain", "probe", "migrate", "dump", "demo"]) {
    assert.match(top.stdout, new RegExp(`^ {2}${verb} `, "m"));
    const own = await credence(t, verb, "--help");
    assert.equal(own.code, 0);
    assert.match(own.stdout, /Exit status/);
  }
  const run = await credence(t, "run", "--help");
  for (const flag of [
    "--address",
    "--ready-file",
    "--drain-seconds",
    "--max-connections",
    "--idle-timeout",
  ]) {
    assert.ok(run.stdout.includes(flag), flag);
  }
});

test("help names a verb, or a verb of a verb", async (t) => {
  for (const args of [
    ["help", "certs", "list"],
    ["certs", "help", "list"],
    ["certs", "list", "--help"],
  ]) {
    const { code, stdout } = await credence(t, ...args);
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: credence certs list /);
  }
});

test("help whose reader has seen enough ends without a word", async (t) => {
  for (const args of [["--help"], ["run", "--help"], ["help", "certs", "list"], ["--version"]]) {
    const process = new Credence(t, args);
    process.child.stdout?.destroy();
    const { code, stderr } = await process.ended;
    assert.deepEqual([code, stderr], [0, ""], args.join(" "));
  }
});

test("--version is the package's", async (t) => {
  const { code, stdout } = await credence(t, "--version");
  assert.equal(code, 0);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test("a mistyped verb or flag suggests the right one; misuse exits 2", async (t) => {
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", "localhost:1") });
  const cases: [args: string[], said: RegExp][] = [
    [["chekc", folder], /Did you mean check\?/],
    [["chekc", "--help"], /Did you mean check\?/],
    [["help", "chekc"], /Did you mean check\?/],
    [["help", "certs", "lst"], /Did you mean list\?/],
    [["certs"], /Usage: credence certs/],
    [["run", folder, "--http-prot", "0"], /Did you mean --http-port\?/],
    [["check", folder, "--formt", "json"], /Did you mean --format\?/],
    [["check", folder, "--format", "xml"], /Allowed choices are text, json/],
    [["run", folder, "--http-port", "99999"], /from 0 to 65535/],
    [["run", folder, "--address", "localhost"], /must be an IP address/],
    [["run", folder, "--admin-address", "[::1]"], /must be an IP address/],
    [["run", folder, "--drain-seconds", "soon"], /whole number/],
    [["run", folder, "--max-connections", "0"], /1 or more/],
    [["run", folder, "--envoy", "/bin/true"], /need --engine envoy/],
    [["run", folder, "--envoy-dns", "127.0.0.1:53"], /need --engine envoy/],
    [["run"], /missing required argument 'path'/],
    [["check"], /missing required argument 'path'/],
    [["run", `${folder}/nowhere`], /no such file or folder: .*nowhere/],
    [["check", `${folder}/nowhere`], /no such file or folder: .*nowhere/],
    [["explain", "GET", "http://a/"], /missing required argument 'path'/],
    [["migrate"], /missing required argument 'path'/],
    [["dump", `${folder}/nowhere`], /no such file or folder: .*nowhere/],
    [[], /Usage: credence/],
  ];
  await Promise.all(
    cases.map(async ([args, said]) => {
      const { code, stderr, stdout } = await credence(t, ...args);
      assert.equal(code, 2, args.join(" "));
      assert.match(stderr, said);
      assert.equal(stdout, "");
    }),
  );
});
