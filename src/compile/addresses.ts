import { isIP } from "node:net";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { AddressPolicy, AddressRange } from "../model/http.ts";
import type { ModuleResource } from "../resources/module.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";

/**
 * Who may come in (Module `ip_allow`, `ip_deny`, reference §2.7). What cannot be read, or is said twice, closes every route:
 * a list that limits access may not be taken for one that is not there (design §9).
 */
export function addressPolicy(
  modules: readonly ModuleResource[],
  diagnostics: Diagnostic[],
): { readonly policy: AddressPolicy | null; readonly unreadable: boolean } {
  const lists = modules.flatMap((module) =>
    (["ip_allow", "ip_deny"] as const)
      .filter((field) => module.spec[field] !== undefined)
      .map((field) => ({ module, field, rules: module.spec[field] ?? [] })),
  );
  let unreadable = lists.length > 1;
  for (const { module, field, rules } of lists) {
    const report = (message: string): void => {
      unreadable = true;
      const at = { subject: subjectOf(module), source: positionOf(module, field) };
      diagnostics.push(diagnose("access-control-not-enforced", { ...at, message }));
    };
    if (lists.length > 1) report("ip_allow and ip_deny exclude each other");
    for (const rule of rules)
      if (range(rule) === null) report(`${field}: ${JSON.stringify(rule)} is no address range`);
  }
  const [only] = lists;
  if (only === undefined || unreadable) return { policy: null, unreadable };
  const ranges = only.rules.map(range).filter((each) => each !== null);
  return { policy: { action: only.field === "ip_allow" ? "allow" : "deny", ranges }, unreadable };
}

function range(rule: { peer: string } | { remote: string }): AddressRange | null {
  const of = "peer" in rule ? ("peer" as const) : ("remote" as const);
  const text = "peer" in rule ? rule.peer : rule.remote;
  const [address = "", length] = text.split("/");
  const family = isIP(address);
  const bits = family === 6 ? 128 : 32;
  const prefixLength = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  return family === 0 || prefixLength < 0 || prefixLength > bits ? null : { of, address, prefixLength };
}
