import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Subject } from "../diagnostics/diagnostic.ts";
import { flag } from "./field-doc.ts";
import { type FieldTable, isRecord, readFields } from "./fields.ts";
import { nearest } from "./nearest.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";
import { impliedContext, TLS_CONTEXT, type TlsContextResource, type TlsContextSpec } from "./tls-context.ts";
import { GUARDING_TLS_FIELDS } from "./tls-context-fields.ts";

const { hosts, identity, verify, ocsp_staple_file, ...CONTEXT_FIELDS } = TLS_CONTEXT.properties;

/** Fields of each block of Module `tls`, and of `tls` in Module `ambassador` (reference §2.7). */
const TLS_MODULE_BLOCK = Type.Object({
  enabled: flag({ does: "false: the block is not there.", byDefault: "true" }),
  ...CONTEXT_FIELDS,
});

/** One block as it was read; its fields stand where `raw` says. */
export interface TlsBlock {
  readonly name: string;
  readonly spec: Static<typeof TLS_MODULE_BLOCK>;
  readonly raw: RawObject;
  readonly closedBy: string | null;
}

export interface TlsModuleResource extends Resource<"TlsModule", { readonly blocks: readonly TlsBlock[] }> {}

/** Reads the blocks of an old TLS configuration, each for itself; `below` is where it stands in the Module's `config`. */
export function parseTlsModule(
  identity: { namespace: string; name: string },
  config: unknown,
  { subject, raw, below }: { subject: Subject; raw: RawObject; below?: string },
): { resource: TlsModuleResource; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  if (config !== undefined && config !== null && !isRecord(config)) {
    const source = positionOf({ raw }, below ?? "config");
    const message = "config must be a map of server, client and names of contexts";
    diagnostics.push(refused("server", diagnose("field-invalid", { subject, source, message })));
    return { resource: closedTlsModule(identity, raw, "field-invalid"), diagnostics };
  }
  const blocks: TlsBlock[] = [];
  for (const [name, written] of Object.entries(isRecord(config) ? config : {})) {
    if (written === null || written === undefined || (name === "enabled" && !isRecord(written))) continue;
    const source = raw.fields.get(`spec.config.${name}`) ?? positionOf({ raw }, below ?? name);
    const placed = { ...raw, source, fields: new Map() };
    if (isRecord(written) && written.enabled === false) continue;
    if (!isRecord(written)) {
      const message = `${name} must be a map of a TLSContext's fields`;
      diagnostics.push(refused(name, diagnose("field-invalid", { subject, source, message })));
      blocks.push({ name, spec: {}, raw: placed, closedBy: "field-invalid" });
      continue;
    }
    const meant = misspeltBlock(name, written, config as Readonly<Record<string, unknown>>);
    if (meant !== undefined) {
      const message = `${name} may mean ${meant}, which is not left out unsaid`;
      diagnostics.push(refused(meant, diagnose("field-invalid", { subject, source, message })));
      blocks.push({ name: meant, spec: {}, raw: placed, closedBy: "field-invalid" });
    }
    const read = readFields(written, TABLE, subject, placed);
    diagnostics.push(...read.diagnostics.map((found) => refused(name, found)));
    const closedBy = read.bad.size > 0 ? "field-invalid" : read.misspelt.size > 0 ? "field-unknown" : null;
    blocks.push({ name, spec: read.spec, raw: placed, closedBy });
  }
  return { resource: { kind: "TlsModule", ...identity, spec: { blocks }, raw }, diagnostics };
}

/** Any name may be a context's for upstreams. One near `server` is a slip, and so is one near `client` that checks clients. */
function misspeltBlock(
  name: string,
  written: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
): "server" | "client" | undefined {
  const near = nearest(name, ["server", "client"]) as "server" | "client" | undefined;
  if (near === undefined || near === name || near in config) return undefined;
  return near === "server" || written.cert_required !== undefined ? near : undefined;
}

/** Stands for a configuration of which nothing can be read: it may have had a server. */
export function closedTlsModule(
  identity: { namespace: string; name: string },
  raw: RawObject,
  closedBy: string,
): TlsModuleResource {
  return {
    kind: "TlsModule",
    ...identity,
    spec: { blocks: [{ name: "server", spec: {}, raw, closedBy }] },
    raw,
  };
}

/** The same with every block closed. */
export function withBlocksClosed(module: TlsModuleResource, closedBy: string): TlsModuleResource {
  return { ...module, spec: { blocks: module.spec.blocks.map((block) => ({ ...block, closedBy })) } };
}

/** Whether 1.14 would serve `*` over TLS for it. */
export function hasServer({ spec }: TlsModuleResource): boolean {
  return spec.blocks.some(({ name }) => name === "server");
}

/**
 * The contexts that old TLS configurations stand for: `server` for `*`, with `client`'s CA, and each other block one for
 * upstreams. A block of Module `ambassador` stands before one of Module `tls` with its name.
 */
export function moduleContexts(modules: readonly TlsModuleResource[]): {
  contexts: TlsContextResource[];
  unused: readonly { readonly module: TlsModuleResource; readonly block: TlsBlock }[];
} {
  const all = modules.flatMap((module) => module.spec.blocks.map((block) => ({ module, block })));
  const inAmbassador = new Set(
    all.filter(({ module }) => module.name === "ambassador").map(({ block }) => block.name),
  );
  const used = all.filter(
    ({ module, block }) => module.name === "ambassador" || !inAmbassador.has(block.name),
  );
  const clients = used.filter(({ block }) => block.name === "client");
  const hasServers = used.some(({ block }) => block.name === "server");
  const contexts = used
    .filter(({ block }) => block.name !== "client")
    .map(({ module, block }) => {
      const subject = subjectOf({ ...module, kind: "Module" });
      const { enabled: _enabled, ...spec } = block.spec;
      if (block.name !== "server")
        return impliedContext(subject, block.name, spec, block.raw, block.closedBy);
      const client = (clients.find((other) => other.module === module) ?? clients[0])?.block;
      const closedBy = block.closedBy ?? client?.closedBy ?? null;
      return impliedContext(
        subject,
        "server",
        closedBy === null ? serverSpec(spec, client) : { ...spec, hosts: ["*"] },
        block.raw,
        closedBy,
      );
    });
  return {
    contexts,
    unused: [...all.filter((each) => !used.includes(each)), ...(hasServers ? [] : clients)],
  };
}

/** 1.14's default names of Secrets; there the client's default takes the place of the server's, which is a fault. */
function serverSpec(server: TlsContextSpec, client: TlsBlock | undefined): TlsContextSpec {
  const isNamed = server.secret !== undefined || server.cert_chain_file !== undefined;
  const spec = { ...server, hosts: ["*"], ...(isNamed ? {} : { secret: "ambassador-certs" }) };
  if (client === undefined) return spec;
  const { secret, ca_secret, cacert_chain_file, cert_required } = client.spec;
  const trust =
    cacert_chain_file !== undefined && secret === undefined && ca_secret === undefined
      ? { cacert_chain_file }
      : { ca_secret: ca_secret ?? secret ?? "ambassador-cacert" };
  return { ...spec, ...trust, ...(cert_required === undefined ? {} : { cert_required }) };
}

function refused(block: string, found: Diagnostic): Diagnostic {
  if (found.code !== "field-invalid" && found.effect !== "route-fails-closed") return found;
  const effect = block === "server" || block === "client" ? "host-refused" : "route-fails-closed";
  return { ...found, severity: "error", effect };
}

const TABLE: FieldTable = {
  properties: TLS_MODULE_BLOCK.properties,
  required: [],
  ignored: [],
  guarding: ["enabled", "secret", ...GUARDING_TLS_FIELDS],
};
