// Writes the generated parts of docs/engines.md: what not every engine can do, and the tests that are skipped on one.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { capabilities, ENGINE_NAMES, type Limit } from "../src/model/capabilities.ts";
import { SKIP_GROUPS, SKIPS, type SkipGroup } from "../test/behaviour/skips.ts";

const PAGE = fileURLToPath(new URL("../docs/engines.md", import.meta.url));

/** The page as it should be, from the page as it is: what people wrote around the generated parts stays. */
export function enginesPage(page: string): string {
  return Object.entries({ capabilities: capabilityTable(), skips: skipLists() }).reduce(
    (text, [part, content]) => {
      const [from, to] = [`<!-- begin ${part} -->`, `<!-- end ${part} -->`];
      const [before, rest] = split(text, from);
      const [, after] = split(rest, to);
      return `${before}${from}\n\n${content}\n\n${to}${after}`;
    },
    page,
  );
}

function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  if (at === -1) throw new Error(`docs/engines.md has no line ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}

function capabilityTable(): string {
  const cell = (limit: Limit | null): string =>
    limit === null ? "yes" : `no: ${limit.message}. ${limit.remedy}`;
  return table(
    ["", ...ENGINE_NAMES],
    capabilities().map((each) => [each.what, ...ENGINE_NAMES.map((engine) => cell(each[engine]))]),
  );
}

function skipLists(): string {
  const groups = (Object.keys(SKIP_GROUPS) as SkipGroup[]).map((group) => {
    const skips = SKIPS.filter((skip) => skip.group === group);
    const rows = skips.map(({ file, tests, reason }) => [`\`${file}\`: ${tests.join("; ")}`, reason]);
    return `### ${group[0]?.toUpperCase()}${group.slice(1)}\n\n${SKIP_GROUPS[group]}\n\n${table(["Tests", "On Envoy"], rows)}`;
  });
  return groups.join("\n\n");
}

/** As the formatter of the other pages would leave it: padded. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  const [first = [], ...others] = cells;
  return [line(first), line(widths.map((width) => "-".repeat(width))), ...others.map(line)].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(PAGE, enginesPage(readFileSync(PAGE, "utf8")));
