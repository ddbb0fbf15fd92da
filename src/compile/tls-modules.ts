import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import type { ModuleResource } from "../resources/module.ts";
import { subjectOf } from "../resources/resource.ts";
import type { TlsContextResource } from "../resources/tls-context.ts";
import { moduleContexts, type TlsModuleResource } from "../resources/tls-module.ts";

/** Old TLS configurations, of Module `tls` and of Module `ambassador`, as the contexts that they stand for (reference §2.7). */
export function compileTlsModules(
  { modules, tlsModules }: { modules: readonly ModuleResource[]; tlsModules: readonly TlsModuleResource[] },
  diagnostics: Diagnostic[],
): TlsContextResource[] {
  const all = [...modules.flatMap(({ tls }) => tls ?? []), ...tlsModules];
  const { contexts, unused } = moduleContexts(all);
  for (const { module, block } of unused) {
    const message =
      block.name === "client"
        ? "client has no server block to check clients for"
        : `${block.name} stands in Module ambassador too, and that one is used`;
    diagnostics.push(
      diagnose("tls-block-unused", {
        subject: subjectOf({ ...module, kind: "Module" }),
        source: block.raw.source,
        message,
      }),
    );
  }
  return contexts;
}
