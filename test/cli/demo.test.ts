import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Credence, credence, eventually, fetchText, scratch } from "./credence.ts";

test("demo --once: the upstream saw the gateway's certificate; nothing is left", async (t) => {
  const folder = join(scratch(t), "demo");
  const { code, stdout, stderr } = await credence(t, "demo", "--once", "--directory", folder);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /It was answered 200/);
  assert.match(stdout, /"subject": "CN=credence-gateway"/);
  assert.match(stdout, /"version": "TLSv1\.3"/);
  assert.ok(!existsSync(folder));
});

test("a demo that stays: its key is the owner's alone, its steps work, and its end takes all with it", async (t) => {
  const folder = join(scratch(t), "demo");
  const demo = new Credence(t, ["demo", "--directory", folder]);
  await eventually(() => demo.stdout.includes("Ctrl-C ends all of it"));
  const secret = join(folder, "gateway", "secret.yaml");
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(secret).mode & 0o777, 0o600);
  assert.equal(readFileSync(join(folder, ".gitignore"), "utf8"), "*\n");
  const { pid, http } = JSON.parse(readFileSync(join(folder, "ready.json"), "utf8"));
  assert.equal((await fetchText(`http://${http}/upstream/hello`)).status, 200);

  // A second one keeps its hands off.
  const second = await credence(t, "demo", "--once", "--directory", folder);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /another demo/);

  demo.child.kill("SIGINT");
  assert.equal((await demo.ended).code, 0);
  assert.ok(!existsSync(folder));
  assert.throws(() => process.kill(pid, 0), { code: "ESRCH" });
});

test("a gateway does not outlive a demo that is killed", async (t) => {
  const folder = join(scratch(t), "demo");
  const demo = new Credence(t, ["demo", "--directory", folder]);
  await eventually(() => demo.stdout.includes("Ctrl-C ends all of it"));
  const { pid } = JSON.parse(readFileSync(join(folder, "ready.json"), "utf8"));
  demo.child.kill("SIGKILL");
  await eventually(() => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
  // What it left behind is recognised, and replaced.
  assert.equal((await credence(t, "demo", "--once", "--directory", folder)).code, 0);
});

test("a folder that is not the demo's is left alone", async (t) => {
  const folder = scratch(t, { "thesis.tex": "years of work" });
  const { code, stderr } = await credence(t, "demo", "--once", "--directory", folder);
  assert.equal(code, 1);
  assert.match(stderr, /not the demo's/);
  assert.equal(readFileSync(join(folder, "thesis.tex"), "utf8"), "years of work");
});
