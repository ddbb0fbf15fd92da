import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { it } from "node:test";

const WATCHED = `
  import { Starvation } from ${JSON.stringify(new URL("../../rotation/soak/starvation.ts", import.meta.url).href)};
  const starvation = new Starvation();
  const [began, beganByIt] = [performance.now(), starvation.now()];
  process.stdin.once("data", () => {
    const took = performance.now() - began;
    const tookByIt = starvation.now() - beganByIt;
    console.log(JSON.stringify({ took, tookByIt, total: starvation.total, longest: starvation.longest }));
    process.exit();
  });
  console.log("ready");
`;
const STOPPED_MS = 1000;

it("a process that is stopped while it waits is known to have been kept from running", async () => {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", WATCHED], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, STOPPED_MS));
  child.kill("SIGCONT");
  child.stdin.write("now\n");
  const [said] = (await once(child.stdout, "data")) as [Buffer];
  const { took, tookByIt, total, longest } = JSON.parse(String(said)) as Record<string, number>;
  const least = STOPPED_MS * 0.8;
  assert.ok((total ?? 0) >= least && (longest ?? 0) >= least, String(said));
  assert.ok((took ?? 0) - (tookByIt ?? 0) >= least, String(said));
});
