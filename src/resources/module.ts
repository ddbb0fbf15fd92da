import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { KEYS_WITHOUT_EFFECT, MODULE_FIELDS } from "./module-fields.ts";
import { type FieldTable, isRecord, type ReadFields, readFields } from "./fields.ts";
import { type RawObject, type Resource, subjectOf } from "./resource.ts";
import { closedTlsModule, parseTlsModule, type TlsModuleResource } from "./tls-module.ts";

export const MODULE = Type.Object(MODULE_FIELDS);

export type ModuleConfig = Static<typeof MODULE>;

export interface ModuleResource extends Resource<"Module", ModuleConfig> {
  /** Keys that control access and that this version cannot enforce: every route is closed (design §9). */
  readonly unenforced: readonly string[];
  /** The old TLS configuration that stands in it (reference §2.7). */
  readonly tls: TlsModuleResource | null;
}

/** Of what names no resolver itself; undefined: Kubernetes services. */
export function defaultResolver(modules: readonly ModuleResource[]): string | undefined {
  return modules.find(({ spec }) => spec.resolver !== undefined)?.spec.resolver;
}

/** Reads Module `ambassador`; a bad value leaves that key at its default and says so. */
export function parseModule(
  identity: { namespace: string; name: string },
  value: unknown,
  raw: RawObject,
): { resource: ModuleResource; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "Module", ...identity });
  const config = isRecord(value) && isRecord(value.config) ? value.config : {};
  // Positions are recorded to one level below spec; a key of `config` stands where `config` does, if not deeper.
  const fields = new Map(raw.fields);
  for (const [path, position] of raw.fields) {
    if (path.startsWith("spec.config.")) fields.set(`spec.${path.slice("spec.config.".length)}`, position);
  }
  const placed = { ...raw, fields };
  const unenforced = ACCESS_CONTROL.filter((key) => config[key] !== undefined && config[key] !== null);
  const rest = Object.fromEntries(Object.entries(config).filter(([key]) => !ACCESS_CONTROL.includes(key)));
  const read = readFields(rest, TABLE, subject, placed);
  unenforced.push(...[...read.misspelt].filter((key) => ACCESS_CONTROL.includes(key)));
  const diagnostics = read.diagnostics.map((found) => {
    if (found.code === "field-invalid")
      return { ...found, code: "module-invalid", effect: "field-ignored" as const };
    if (found.code !== "field-not-supported") return found;
    const key = found.message.split(" ")[0] as string;
    return { ...found, code: "module-key-not-supported", remedy: KEYS_WITHOUT_EFFECT[key] ?? found.remedy };
  });
  // What was to be limited to some clients, and cannot be read, is limited to none.
  unenforced.push(...["ip_allow", "ip_deny"].filter((key) => read.bad.has(key) || read.misspelt.has(key)));
  if (read.bad.has("defaults") && JSON.stringify(config.defaults).includes("remove_"))
    unenforced.push("defaults");
  for (const key of Object.keys(isRecord(config.defaults) ? config.defaults : {})) {
    if (Object.hasOwn(MODULE_FIELDS.defaults.properties, key)) continue;
    const source = fields.get(`spec.defaults.${key}`) ?? fields.get("spec.defaults") ?? raw.source;
    const message = `defaults.${key} is not acted on by this version`;
    diagnostics.push(diagnose("module-key-not-supported", { subject, source, message }));
  }
  for (const key of unenforced) {
    const source = fields.get(`spec.${key}`) ?? fields.get(`spec.${key.split(".")[0]}`) ?? raw.source;
    const message = `${key} controls access and cannot be enforced by this version`;
    diagnostics.push(diagnose("access-control-not-enforced", { subject, source, message }));
  }
  const { tls: _, ...acted } = read.spec as ModuleConfig;
  const spec = { ...acted, ...strictest(read), ...knownDefaults(acted) };
  const tls = oldTls(identity, subject, config.tls, read, placed);
  diagnostics.push(...(tls?.diagnostics ?? []));
  return {
    resource: { kind: "Module", ...identity, spec, raw: placed, unenforced, tls: tls?.resource ?? null },
    diagnostics,
  };
}

/** Of `defaults`, what is acted on and was checked for that. */
function knownDefaults({ defaults }: ModuleConfig): Pick<ModuleConfig, "defaults"> {
  if (defaults === undefined) return {};
  const known = Object.entries(defaults).filter(([key]) =>
    Object.hasOwn(MODULE_FIELDS.defaults.properties, key),
  );
  return { defaults: Object.fromEntries(known) };
}

/** `config.tls`; a misspelt one is refused as a whole. */
function oldTls(
  identity: { namespace: string; name: string },
  subject: Subject,
  written: unknown,
  { bad, misspelt }: ReadFields,
  raw: RawObject,
): ReturnType<typeof parseTlsModule> | null {
  if (misspelt.has("tls"))
    return { resource: closedTlsModule(identity, raw, "field-unknown"), diagnostics: [] };
  if (bad.has("tls")) return { resource: closedTlsModule(identity, raw, "field-invalid"), diagnostics: [] };
  return isRecord(written) ? parseTlsModule(identity, written, { subject, raw, below: "tls" }) : null;
}

/** What keeps something out: it holds in some strict way even where the Module itself cannot be followed. */
export function restrictions({ spec }: ModuleResource): string[] {
  const { ip_allow, ip_deny, defaults } = spec;
  return [
    ...(ip_allow === undefined ? [] : ["ip_allow"]),
    ...(ip_deny === undefined ? [] : ["ip_deny"]),
    ...(JSON.stringify(defaults ?? {}).includes('"remove_') ? ["defaults"] : []),
  ];
}

/** What must hold although nobody can read how it was asked for: the strict reading of each guard. */
function strictest({ bad, misspelt }: ReadFields): ModuleConfig {
  const asked = (key: string): boolean => bad.has(key) || misspelt.has(key);
  return {
    ...(asked("upstream_verification") ? { upstream_verification: "required" } : {}),
    ...(asked("reject_requests_with_escaped_slashes") ? { reject_requests_with_escaped_slashes: true } : {}),
    ...(asked("x_forwarded_proto_redirect") ? { x_forwarded_proto_redirect: true } : {}),
  };
}

/** What may decide about access, and what no engine here runs. */
const ACCESS_CONTROL = ["lua_scripts"];

const TABLE: FieldTable = {
  properties: MODULE_FIELDS,
  required: [],
  ignored: [...Object.keys(KEYS_WITHOUT_EFFECT), ...ACCESS_CONTROL],
  guarding: [
    ...ACCESS_CONTROL,
    "ip_allow",
    "ip_deny",
    "upstream_verification",
    "reject_requests_with_escaped_slashes",
    "tls",
    "x_forwarded_proto_redirect",
  ],
};
