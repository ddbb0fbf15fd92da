import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { eventually } from "../../../../cli/credence.ts";

const module = fileURLToPath(
  new URL("../../../../../src/engines/envoy/process/orphan-watch.ts", import.meta.url),
);

/** A process that starts another one of its own group, has it watched, and says its pid. */
const PARENT = `
import { spawn } from "node:child_process";
const { endWithUs } = await import(${JSON.stringify(module)});
const child = spawn("sleep", ["600"], { stdio: "ignore", detached: true });
const callOff = endWithUs(child.pid, console);
if (process.argv.at(-1) === "call-off") callOff();
console.log(child.pid);
setInterval(() => {}, 1000);
`;

async function parentKilled(mode: string): Promise<number> {
  const parent = spawn(process.execPath, ["--input-type=module", "-e", PARENT, "--", mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(parent.stdout, "data");
  parent.kill("SIGKILL");
  await once(parent, "exit");
  return Number(line);
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("what is watched ends with a parent that is killed", async () => {
  const pid = await parentKilled("watch");
  await eventually(() => !lives(pid));
});

test("a watch that was called off ends nothing", async () => {
  const pid = await parentKilled("call-off");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(lives(pid));
  process.kill(pid, "SIGKILL");
});
