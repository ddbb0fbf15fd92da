import { type Static, Type } from "typebox";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, SourcePosition, Subject } from "../diagnostics/diagnostic.ts";
import { doc } from "./field-doc.ts";
import { type FieldTable, isRecord, readFields } from "./fields.ts";
import type { HostResource } from "./host.ts";
import { domainOf } from "./host-name.ts";
import { readBackend } from "./ingress-backend.ts";
import type { MappingResource, MappingSpec } from "./mapping.ts";
import { positionOf, type RawObject, type Resource, subjectOf } from "./resource.ts";

const Backend = Type.Unknown(
  doc({
    is: "a backend",
    does: "Where requests go that no rule takes: `service` with name and port.number, or serviceName and servicePort.",
  }),
);

/** Fields of an Ingress that are acted on (reference §1). */
const INGRESS = Type.Object({
  ingressClassName: Type.Optional(
    Type.String({
      ...doc({
        is: "the name of an IngressClass",
        does: "Which controller takes the Ingress: `ambassador`, or a class whose controller is getambassador.io/ingress-controller.",
        example: "ambassador",
      }),
    }),
  ),
  defaultBackend: Type.Optional(Backend),
  backend: Type.Optional(Backend),
  tls: Type.Optional(
    Type.Array(
      Type.Unknown(),
      doc({
        is: "a list of maps of hosts and secretName",
        does: "Serves the hosts over TLS with the Secret's certificate, as a Host does whose insecure action is Route.",
        example: [{ hosts: ["shop.example.com"], secretName: "shop-certificate" }],
      }),
    ),
  ),
  rules: Type.Optional(
    Type.Array(
      Type.Unknown(),
      doc({
        is: "a list of maps of host and http.paths",
        does: "A Mapping for each path. Exact takes the path itself, Prefix it and what is below, ImplementationSpecific is a Mapping's prefix.",
      }),
    ),
  ),
});

export interface IngressResource extends Resource<"Ingress", Static<typeof INGRESS>> {
  /** The annotation `kubernetes.io/ingress.class`, null where there is none. */
  readonly classAnnotation: string | null;
  readonly hosts: readonly HostResource[];
  readonly mappings: readonly MappingResource[];
  /** Names of the rules: served in cleartext unless somebody serves them over TLS. */
  readonly names: readonly string[];
}

export interface IngressClassResource extends Resource<"IngressClass", { readonly controller: string }> {}

/** Reads an Ingress into the Hosts and Mappings that it stands for; what of it cannot be read is closed or left out by itself. */
export function parseIngress(
  identity: { namespace: string; name: string },
  object: Readonly<Record<string, unknown>>,
  annotations: Readonly<Record<string, unknown>>,
  raw: RawObject,
): { resource: IngressResource; diagnostics: Diagnostic[] } {
  const subject = subjectOf({ kind: "Ingress", ...identity });
  const read = readFields(object.spec, TABLE, subject, raw);
  const reading = new Reading(identity, subject, raw);
  const spec = read.spec as Static<typeof INGRESS>;
  for (const [index, entry] of (spec.tls ?? []).entries()) reading.tls(entry, index);
  if (read.bad.has("tls") || read.misspelt.has("tls")) reading.host("*", "0-0", null, "field-invalid");
  const fallback = spec.defaultBackend ?? spec.backend;
  if (fallback !== undefined) {
    const field = spec.defaultBackend === undefined ? "backend" : "defaultBackend";
    reading.mapping("default-backend", { prefix: "/" }, fallback, field, null);
  }
  for (const [index, rule] of (spec.rules ?? []).entries()) reading.rule(rule, index);
  const written = annotations["kubernetes.io/ingress.class"];
  const { hosts, mappings, names } = reading;
  const diagnostics = read.diagnostics.map((found) =>
    found.code === "field-invalid" ? { ...found, effect: "field-ignored" as const } : found,
  );
  return {
    resource: {
      kind: "Ingress",
      ...identity,
      spec,
      raw,
      classAnnotation: typeof written === "string" ? written.toLowerCase() : null,
      hosts,
      mappings,
      names: [...names].sort(),
    },
    diagnostics: [...diagnostics, ...reading.diagnostics],
  };
}

/** Reads an IngressClass: whose Ingresses name it. */
export function parseIngressClass(
  identity: { namespace: string; name: string },
  object: Readonly<Record<string, unknown>>,
  raw: RawObject,
): IngressClassResource {
  const { controller } = isRecord(object.spec) ? object.spec : {};
  const text = typeof controller === "string" ? controller.toLowerCase() : "";
  return { kind: "IngressClass", ...identity, spec: { controller: text }, raw };
}

/** The same with all that it serves closed. */
export function withIngressClosed(ingress: IngressResource, closedBy: string): IngressResource {
  return {
    ...ingress,
    hosts: ingress.hosts.map((host) => ({ ...host, closedBy })),
    mappings: ingress.mappings.map((mapping) => ({ ...mapping, closedBy })),
  };
}

/** Goes through the parts of one Ingress, each for itself. */
class Reading {
  readonly hosts: HostResource[] = [];
  readonly mappings: MappingResource[] = [];
  readonly names = new Set<string>();
  readonly diagnostics: Diagnostic[] = [];
  readonly #identity: { readonly namespace: string; readonly name: string };
  readonly #subject: Subject;
  readonly #raw: RawObject;

  constructor(identity: { namespace: string; name: string }, subject: Subject, raw: RawObject) {
    this.#identity = identity;
    this.#subject = subject;
    this.#raw = raw;
  }

  tls(entry: unknown, index: number): void {
    const { hosts, secretName } = isRecord(entry) ? entry : {};
    const isNamed = typeof secretName === "string" && secretName !== "";
    if (!isNamed) this.#report("secret-missing", "tls", `tls[${index}] names no Secret`, "host-refused");
    const isList = Array.isArray(hosts) && hosts.length > 0;
    for (const [place, host] of (isList ? hosts : ["*"]).entries()) {
      const domain = typeof host === "string" ? domainOf(host) : null;
      if (domain === null) {
        const message = `tls[${index}].hosts[${place}] is no host name`;
        this.#report("field-invalid", "tls", message, "host-refused");
      }
      const closedBy = !isNamed ? "secret-missing" : domain === null ? "field-invalid" : null;
      this.host(domain, `${index}-${place}`, isNamed ? secretName : null, closedBy);
    }
  }

  host(domain: string | null, suffix: string, secret: string | null, closedBy: string | null): void {
    const source = this.#place("tls");
    this.hosts.push({
      kind: "Host",
      namespace: this.#identity.namespace,
      name: `${this.#identity.name}-${suffix}`,
      spec: secret === null ? {} : { tlsSecret: { name: secret } },
      raw: { ...this.#raw, source, fields: new Map() },
      subject: this.#subject,
      domain,
      tls: null,
      closedBy,
    });
  }

  rule(rule: unknown, index: number): void {
    const { host, http } = isRecord(rule) ? rule : {};
    const domain = host === undefined || host === null || host === "" ? "*" : domainOf(String(host));
    if (domain === null) {
      const message = `rules[${index}].host ${JSON.stringify(String(host).slice(0, 80))} is no host name`;
      this.#report("field-invalid", "rules", message, "field-ignored");
      return;
    }
    if (domain !== "*") this.names.add(domain);
    const paths = isRecord(http) && Array.isArray(http.paths) ? http.paths : [];
    for (const [place, path] of paths.entries()) this.#path(path, `${index}-${place}`, hostMatch(domain));
  }

  #path(entry: unknown, suffix: string, host: Partial<MappingSpec>): void {
    const { path = "/", pathType = "ImplementationSpecific", backend } = isRecord(entry) ? entry : {};
    if (typeof path !== "string" || !/^\/[!-~]*$/.test(path)) {
      const message = `the path ${suffix} must begin with / and be visible ASCII`;
      this.#report("field-invalid", "rules", message, "field-ignored");
      return;
    }
    let closedBy: string | null = null;
    if (pathType !== "Exact" && pathType !== "Prefix" && pathType !== "ImplementationSpecific") {
      const message = `the pathType of path ${suffix} is none of Exact, Prefix and ImplementationSpecific`;
      this.#report("field-invalid", "rules", message, "route-fails-closed");
      closedBy = "field-invalid";
    }
    if (pathType === "Exact") {
      const match = { ...host, prefix: path, prefix_exact: true, precedence: 1 };
      this.mapping(suffix, match, backend, "rules", closedBy);
      return;
    }
    const element = path.replace(/\/+$/, "");
    if (pathType !== "Prefix" || element === "") {
      this.mapping(suffix, { ...host, prefix: path }, backend, "rules", closedBy);
      return;
    }
    // By path element: the path itself, and what is below it.
    this.mapping(suffix, { ...host, prefix: `${element}/` }, backend, "rules", closedBy);
    const itself = { ...host, prefix: element, prefix_exact: true };
    this.mapping(`${suffix}-itself`, itself, backend, "rules", closedBy, true);
  }

  mapping(
    suffix: string,
    match: Omit<MappingSpec, "service">,
    backend: unknown,
    field: string,
    closedBy: string | null,
    isSaid = false,
  ): void {
    const found = readBackend(backend, this.#identity.namespace);
    if ("problem" in found && !isSaid) {
      const message = `${field === "rules" ? `the path ${suffix}` : field} ${found.problem}`;
      this.#report("ingress-backend-unusable", field, message, "route-fails-closed");
    }
    this.mappings.push({
      kind: "Mapping",
      namespace: this.#identity.namespace,
      name: `${this.#identity.name}-${suffix}`,
      spec: { ...match, service: "problem" in found ? "" : found.service },
      raw: { ...this.#raw, source: this.#place(field), fields: new Map() },
      closedBy: closedBy ?? ("problem" in found ? "ingress-backend-unusable" : null),
      mayBeNarrower: false,
    });
  }

  #place(field: string): SourcePosition {
    return positionOf({ raw: this.#raw }, field);
  }

  #report(
    code: "field-invalid" | "secret-missing" | "ingress-backend-unusable",
    field: string,
    message: string,
    effect: Diagnostic["effect"],
  ): void {
    const source = this.#place(field);
    this.diagnostics.push(diagnose(code, { subject: this.#subject, source, message, effect }));
  }
}

/** A wildcard stands for one label (Ingress, "Hostname wildcards"). */
function hostMatch(domain: string): Partial<MappingSpec> {
  if (domain === "*") return {};
  if (!domain.startsWith("*.")) return { host: domain };
  return {
    host: `^[a-z0-9]([-a-z0-9]*[a-z0-9])?${domain.slice(1).replaceAll(".", "\\.")}$`,
    host_regex: true,
  };
}

const TABLE: FieldTable = {
  properties: INGRESS.properties,
  required: [],
  ignored: [],
  guarding: ["tls"],
};
