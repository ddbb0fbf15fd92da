import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { scratch } from "./credence.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = `---
apiVersion: getambassador.io/v2
kind: Mapping
metadata: { name: shop }
spec: { prefix: /shop/, service: shop.example }
`;

/** Node refuses `.ts` files under node_modules: what is published is JavaScript, generated messages with it. */
test("the package, packed and installed elsewhere, runs without the sources: demo, and what Envoy gets", (t) => {
  const folder = scratch(t);
  const npm = (cwd: string, ...args: string[]): string =>
    execFileSync("npm", [...args, "--no-audit", "--no-fund", "--loglevel=error"], { cwd, encoding: "utf8" });
  npm(ROOT, "pack", "--pack-destination", folder);
  const [tarball = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  const app = join(folder, "app");
  mkdirSync(app);
  writeFileSync(join(app, "package.json"), '{ "private": true }');
  npm(app, "install", "--prefer-offline", "--ignore-scripts", join(folder, tarball));
  const installed = join(app, "node_modules", "credence");
  assert.ok(!existsSync(join(installed, "src")));
  const credence = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [join(installed, "bin", "credence.js"), ...args], {
      encoding: "utf8",
      cwd: app,
    });

  const demo = credence("demo", "--once", "--directory", join(folder, "demo"));
  assert.equal(demo.status, 0, demo.stderr);
  assert.match(demo.stdout, /"subject": "CN=credence-gateway"/);
  writeFileSync(join(app, "shop.yaml"), PAGE);
  const dump = credence("dump", "--engine", "envoy", "shop.yaml");
  assert.equal(dump.status, 0, dump.stderr);
  assert.match(dump.stdout, /"type\.googleapis\.com\/envoy\.extensions\.filters/);
});
