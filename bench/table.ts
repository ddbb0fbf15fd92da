import { LOADS, type Load, type Sample } from "./load.ts";

export interface Result {
  readonly name: string;
  /** What the proxy speaks with a client that offers TLS 1.2 and 1.3. */
  readonly tls: string;
  readonly samples: Readonly<Record<Load["name"], Sample[]>>;
}

/** Medians, each with its ratio to the two that Credence is measured by, and the spread of the rounds. */
export function table(results: readonly Result[]): string {
  const references = ["nginx", "http-proxy"].flatMap(
    (name) => results.find((result) => result.name === name) ?? [],
  );
  const header = ["requests per CPU-second"];
  for (const { title } of LOADS) {
    header.push(title, ...references.map(({ name }) => `/ ${name}`));
  }
  const rows = results.map((result) => [
    result.name,
    ...LOADS.flatMap(({ name }) => {
      const value = median(result.samples[name]);
      return [
        `${Math.round(value).toLocaleString("en")} ±${Math.round(100 * spread(result.samples[name]))}%`,
        ...references.map((reference) => `${(value / median(reference.samples[name])).toFixed(2)}x`),
      ];
    }),
  ]);
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(" | ")} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

export function median(samples: readonly Sample[]): number {
  const sorted = samples.map(({ perCpuSecond }) => perCpuSecond).sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

/** Half of the distance between the best and the worst round, as a part of the median. */
function spread(samples: readonly Sample[]): number {
  const values = samples.map(({ perCpuSecond }) => perCpuSecond);
  return (Math.max(...values) - Math.min(...values)) / 2 / median(samples);
}
