#!/usr/bin/env node
// The command's entry. Credence needs Node 24.5 or later (ML-KEM key exchange, `.ts` files run as they are); where the
// machine's own `node` is older, the npm package `node` (installed beside us) is used instead.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const [major, minor] = process.versions.node.split(".").map(Number);
if (major > 24 || (major === 24 && minor >= 5)) {
  const source = new URL("../src/cli/main.ts", import.meta.url);
  const { main } = await import(
    existsSync(source) ? source.href : new URL("../dist/cli/main.js", import.meta.url).href
  );
  await main(process.argv.slice(2));
} else {
  const newer = findNewerNode();
  if (newer === undefined) {
    console.error(
      `credence: Node ${process.versions.node} is too old, 24.5 or later is needed.\n` +
        "  Install it, or run `npm install node@26` in this folder: it is then found by itself.",
    );
    process.exit(2);
  }
  const child = spawn(newer, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  // The child is the program: signals that reach us alone are handed on, and its end is ours.
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  // A terminal sends Ctrl-C to the whole foreground group: sent on, the child would count it as the second one.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function findNewerNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve("node/package.json");
    const binary = fileURLToPath(new URL("./bin/node", `file://${manifest}`));
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}
