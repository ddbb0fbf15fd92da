import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** The functions that took most time themselves, over all profiles in a folder; idle time left out. */
export function hottest(directory: string, count: number): string[] {
  const selfTime = new Map<string, number>();
  let total = 0;
  for (const file of readdirSync(directory).filter((name) => name.endsWith(".cpuprofile"))) {
    const profile = JSON.parse(readFileSync(join(directory, file), "utf8")) as CpuProfile;
    const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
    profile.samples.forEach((id, index) => {
      const name = names.get(id) ?? "?";
      if (name.startsWith("(idle)")) return;
      const time = Math.max(0, profile.timeDeltas[index] ?? 0);
      selfTime.set(name, (selfTime.get(name) ?? 0) + time);
      total += time;
    });
  }
  return [...selfTime]
    .sort(([, left], [, right]) => right - left)
    .slice(0, count)
    .map(([name, time]) => `${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}`);
}

function nameOf({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  return url === ""
    ? name
    : `${name}  ${url.replace(/^file:.*?\/(src|node_modules)\//, "$1/")}:${lineNumber + 1}`;
}
