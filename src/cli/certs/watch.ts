import { allExist } from "../paths.ts";
import { endWithReader, inColour, printText } from "../standard-output.ts";
import { compareInventories, renderChange } from "./changes.ts";
import { followInventory } from "./follow.ts";
import type { CertsFlags } from "./list.ts";
import { renderInventory } from "./table.ts";

/** The list, and each change as it comes, until a signal ends it. A terminal is drawn anew, anything else gets lines. */
export async function watchCertificates(paths: readonly string[], flags: CertsFlags): Promise<void> {
  if (!allExist(paths, { followed: true })) {
    process.exitCode = 2;
    return;
  }
  endWithReader();
  const isJson = flags.format === "json";
  const redraws = !isJson && process.stdout.isTTY === true;
  const write = (text: string): void =>
    isJson ? void process.stdout.write(`${text}\n`) : printText(`${text}\n`);
  const latest: string[] = [];
  // Until it has been read once there is nothing to compare.
  let look = (): void => {};
  const followed = await followInventory(paths, flags, () => look());
  let known = followed.entries;
  const draw = (): void => {
    const table = renderInventory(known, inColour());
    const changes = latest.slice(-CHANGES_SHOWN).join("\n");
    process.stdout.write("\x1b[H\x1b[2J\x1b[3J");
    printText(`${table}${changes === "" ? "" : `\n${changes}\n`}\nCtrl-C ends.\n`);
  };
  look = () => {
    const time = new Date().toISOString();
    const now = followed.entries;
    const changes = compareInventories(known, now);
    known = now;
    for (const change of changes) {
      const line = `${time.slice(0, 19)}Z ${renderChange(change)}`;
      if (redraws) latest.push(line);
      else write(isJson ? JSON.stringify({ version: 1, time, ...change }) : line);
    }
    if (redraws) draw();
  };
  if (redraws) draw();
  else if (isJson)
    write(JSON.stringify({ version: 1, time: new Date().toISOString(), event: "listed", entries: known }));
  else printText(renderInventory(known, inColour()));
  // Days pass, and certificates end, without anything being written. It keeps the process alive, too.
  setInterval(look, LOOK_MS);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      followed.stop();
      process.exit(0);
    });
  }
}

const CHANGES_SHOWN = 10;
const LOOK_MS = 30_000;
