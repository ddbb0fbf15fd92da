import { isIP } from "node:net";
import type { FoundAddress } from "./resolved-name.ts";

/** Addresses by name in lower case: hosts(5). `text` is null where there is no file. */
export function hostsOf(text: string | null): ReadonlyMap<string, readonly FoundAddress[]> {
  const hosts = new Map<string, FoundAddress[]>();
  for (const line of (text ?? "").split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    const family = isIP(address);
    if (family === 0) continue;
    for (const name of new Set(names.map((each) => each.toLowerCase().replace(/\.$/, "")))) {
      const found = hosts.get(name);
      if (found === undefined) hosts.set(name, [{ address, family }]);
      else found.push({ address, family });
    }
  }
  return hosts;
}
