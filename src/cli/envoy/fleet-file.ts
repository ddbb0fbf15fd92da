import { readFileSync } from "node:fs";
import { type Static, Type } from "typebox";
import { Errors } from "typebox/value";
import { type Document, isMap, isNode } from "yaml";
import { diagnose } from "../../diagnostics/catalogue.ts";
import type { Diagnostic } from "../../diagnostics/diagnostic.ts";
import type { FleetGroup } from "../../engines/envoy/fleet/groups.ts";
import { trustDomainOf } from "../../x509/spiffe.ts";
import { composeDocument } from "../../sources/files/yaml-document.ts";
import { readValue } from "../../sources/files/yaml-value.ts";

/** The rules of a fleet, or what is wrong with them: one mistake may give keys to whom they do not belong, so all stand or fall. */
export function readFleetFile(file: string): { groups: FleetGroup[] } | { diagnostics: Diagnostic[] } {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const message = `the fleet's rules cannot be read: ${(error as NodeJS.ErrnoException).code}`;
    return { diagnostics: [finding({ file, text: "" }, 0, message)] };
  }
  return parseFleet(file, text);
}

/** The rules in `text`, or what is wrong with them, at places of `file`. */
export function parseFleet(
  file: string,
  text: string,
): { groups: FleetGroup[] } | { diagnostics: Diagnostic[] } {
  const place = { file, text };
  const document = composeDocument(text);
  if (document === null) return { diagnostics: [finding(place, 0, "the file is empty: groups is missing")] };
  if ("code" in document) return { diagnostics: [finding(place, document.offset, document.message)] };
  if (document.contents === null)
    return { diagnostics: [finding(place, 0, "the file is empty: groups is missing")] };
  const read = readValue(document.contents);
  if ("code" in read) return { diagnostics: [finding(place, read.offset, read.message)] };
  const problems = problemsOf(read.value);
  if (problems.length > 0)
    return {
      diagnostics: problems.map(({ path, message }) => finding(place, offsetOf(document, path), message)),
    };
  return { groups: (read.value as Static<typeof FLEET>).groups.map(groupFrom) };
}

const strings = (pattern: string, description: string) => {
  const one = Type.String({ pattern, description });
  return Type.Union([one, Type.Array(one, { minItems: 1 })], { description: `${description}, or a list` });
};

const FLEET = Type.Object(
  {
    groups: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$" }),
          match: Type.Object(
            {
              spiffe: Type.Optional(strings("^spiffe://", "a SPIFFE ID, or one that ends in /*")),
              dns: Type.Optional(strings("^(\\*\\.)?[A-Za-z0-9_]", "a DNS name, or one that begins with *.")),
            },
            { additionalProperties: false, minProperties: 1 },
          ),
          namespaces: Type.Optional(
            Type.Union([Type.Literal("all"), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })], {
              description: "a list of namespaces, or all",
            }),
          ),
          files: Type.Optional(Type.Array(Type.String({ pattern: "^/" }), { minItems: 1 })),
          consul_services: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
          resolve_names: Type.Optional(Type.Boolean()),
          ambassador_id: Type.Optional(Type.String({ minLength: 1 })),
        },
        { additionalProperties: false },
      ),
      { minItems: 1 },
    ),
  },
  { additionalProperties: false },
);

type Group = Static<typeof FLEET>["groups"][number];

interface Problem {
  /** Keys and indexes from the root. */
  readonly path: readonly string[];
  readonly message: string;
}

function problemsOf(value: unknown): Problem[] {
  const wrong = Errors(FLEET, value).flatMap((error): Problem[] => {
    const path = error.instancePath === "" ? [] : error.instancePath.slice(1).split("/");
    const named = (steps: readonly string[]): string => (steps.length === 0 ? "the file" : steps.join("."));
    // Each says again what another one says more exactly.
    if (error.keyword === "anyOf" || error.keyword === "additionalProperties") return [];
    // How an unknown field is said.
    if (error.keyword === "boolean")
      return [{ path, message: `${path.at(-1)} is no field of ${named(path.slice(0, -1))}` }];
    return [{ path, message: `${named(path)} ${error.message}` }];
  });
  if (wrong.length > 0) return oneEach(wrong);
  const { groups } = value as Static<typeof FLEET>;
  const names = groups.map(({ name }) => name);
  return groups.flatMap((group, index): Problem[] => {
    const path = ["groups", String(index)];
    const found: Problem[] = [];
    if (names.indexOf(group.name) !== index)
      found.push({ path: [...path, "name"], message: `two groups have the name ${group.name}` });
    if (group.namespaces === undefined)
      found.push({
        path,
        message: `group ${group.name} does not say its namespaces: it could name the Secrets of all. List them, or write \`namespaces: all\``,
      });
    for (const id of list(group.match.spiffe))
      if (trustDomainOf(id.replace(/\/\*$/, "")) === null)
        found.push({ path: [...path, "match", "spiffe"], message: `${id} is no SPIFFE ID` });
    return found;
  });
}

/** A union says for each of its branches why it is not that one. */
function oneEach(problems: readonly Problem[]): Problem[] {
  const byPath = new Map<string, Problem>();
  for (const problem of problems) {
    const key = problem.path.join("/");
    if (!byPath.has(key)) byPath.set(key, problem);
  }
  return [...byPath.values()];
}

function groupFrom({ name, match, namespaces, files, ...group }: Group): FleetGroup {
  const {
    ambassador_id: ambassadorId,
    consul_services: consulServices,
    resolve_names: resolvesNames,
  } = group;
  return {
    name,
    match: { spiffe: list(match.spiffe), dns: list(match.dns) },
    ...(namespaces === undefined || namespaces === "all" ? {} : { namespaces }),
    ...(files === undefined ? {} : { files }),
    ...(consulServices === undefined ? {} : { consulServices }),
    ...(resolvesNames === true ? { resolvesNames } : {}),
    ...(ambassadorId === undefined ? {} : { ambassadorId }),
  };
}

function list(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === "string" ? [value] : value;
}

/** Of the key where the path ends in one that is there; else of the nearest thing around it. */
function offsetOf(document: Document.Parsed, path: readonly string[]): number {
  const steps = path.map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  for (let length = steps.length; length > 0; length--) {
    const parent = document.getIn(steps.slice(0, length - 1), true);
    const last = steps[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find(({ key }) => isNode(key) && String(key) === String(last));
      if (isNode(pair?.key)) return pair.key.range?.[0] ?? 0;
    }
    const node = document.getIn(steps.slice(0, length), true);
    if (isNode(node)) return node.range?.[0] ?? 0;
  }
  return document.contents?.range?.[0] ?? 0;
}

function finding(
  { file, text }: { readonly file: string; readonly text: string },
  offset: number,
  message: string,
): Diagnostic {
  const before = text.slice(0, offset).split("\n");
  return diagnose("fleet-invalid", {
    subject: { kind: "File", namespace: "", name: file },
    source: { file, line: before.length, column: (before.at(-1) ?? "").length + 1 },
    message,
  });
}
