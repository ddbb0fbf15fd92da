/** Which names are meant by one that is not complete: resolv.conf(5). */
export interface SearchList {
  readonly domains: readonly string[];
  /** A name with as many dots is tried as it is first. */
  readonly ndots: number;
}

/** The last `search` or `domain` counts, and each option the last time it is given. `text` is null where there is no file. */
export function searchOf(text: string | null): SearchList {
  let domains: readonly string[] = [];
  let ndots = 1;
  for (const line of (text ?? "").split("\n")) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === "search") domains = values.map(nameOf).filter((domain) => domain !== "");
    else if (keyword === "domain") domains = values.slice(0, 1).map(nameOf);
    else if (keyword === "options")
      for (const value of values) {
        const given = /^ndots:(\d+)$/.exec(value)?.[1];
        if (given !== undefined) ndots = Math.min(Number(given), MOST_NDOTS);
      }
  }
  return { domains, ndots };
}

/** The names to ask for, in this order, until one exists. */
export function candidatesOf(name: string, { domains, ndots }: SearchList): readonly string[] {
  if (name.endsWith(".")) return [name];
  const searched = domains.map((domain) => `${name}.${domain}`);
  return name.split(".").length > ndots ? [name, ...searched] : [...searched, name];
}

function nameOf(domain: string): string {
  return domain.toLowerCase().replace(/\.$/, "");
}

/** The system's own bound. */
const MOST_NDOTS = 15;
