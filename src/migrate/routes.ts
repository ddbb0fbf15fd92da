import type { MappingResource } from "../resources/mapping.ts";
import type { Report } from "./finding.ts";
import type { MigrationInput } from "./input.ts";
import { fieldsYaml } from "./snippet.ts";

/** Rules about matches, groups and weights (reference §2.5.3 to §2.5.5). */
export function routeRules(input: MigrationInput, report: Report): void {
  const groups = new Map<string, MappingResource[]>();
  for (const mapping of input.resources.mappings) {
    const { closedBy, spec } = mapping;
    if (closedBy === "object-duplicate") continue; // `last-one-won` says it.
    if (closedBy !== null) {
      report("mapping-dropped", {
        at: mapping,
        before: `It was invalid (${closedBy}) and left out: its requests went to whichever Mapping has a shorter prefix, or got 404.`,
        now: "It keeps its place and answers 503.",
        edit: { what: "Mend it; `credence check` says what is wrong.", yaml: "" },
      });
      continue;
    }
    if (spec.keepalive?.idle_time !== undefined) {
      report("keepalive-ignored", {
        at: mapping,
        field: "keepalive",
        before: "keepalive.idle_time did nothing: it was read as `time`.",
        now: `The first probe is sent after ${spec.keepalive.idle_time} seconds.`,
      });
    }
    const key = legacyGroup(mapping);
    groups.set(key, [...(groups.get(key) ?? []), mapping]);
  }
  for (const group of groups.values()) {
    // In the order in which 1.14 processed them.
    const members = [...group].sort((a, b) => (orderKey(a) < orderKey(b) ? -1 : 1));
    collisions(members, report);
    const [first] = members;
    const alike = members.filter((each) => first !== undefined && pathKind(each) === pathKind(first));
    weights(
      alike.filter(({ spec }) => spec.shadow !== true),
      report,
    );
    namespaces(alike, report);
  }
  for (const found of input.diagnostics) {
    if (found.code !== "group-member-mismatch" || found.source === undefined) continue;
    const at = input.resources.mappings.find(
      ({ namespace, name }) => namespace === found.subject.namespace && name === found.subject.name,
    );
    if (at === undefined || /weights/.test(found.message)) continue;
    report("group-member-dropped", {
      at,
      before: `It was left out of its group while its status said Running: ${found.message}.`,
      now: "It is left out too, and an error says so.",
      edit: { what: found.remedy, yaml: "" },
    });
  }
}

/** 1.14's identity of a group: neither the kind of path nor the namespace is in it. */
function legacyGroup({ spec }: MappingResource): string {
  return JSON.stringify([
    spec.prefix,
    spec.host ?? null,
    spec.method ?? null,
    sorted({ ...spec.headers, ...spec.regex_headers }),
    sorted({ ...spec.query_parameters, ...spec.regex_query_parameters }),
    spec.precedence ?? 0,
  ]);
}

function sorted(map: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}

function orderKey({ namespace, name }: MappingResource): string {
  return `${name}.${namespace}`;
}

function pathKind({ spec }: MappingResource): string {
  if (spec.prefix_regex === true) return "prefix_regex";
  return spec.prefix_exact === true ? "prefix_exact" : "prefix";
}

function collisions(members: readonly MappingResource[], report: Report): void {
  const [first, ...others] = members;
  for (const other of others) {
    if (first === undefined || pathKind(other) === pathKind(first)) continue;
    report("group-collision", {
      at: other,
      field: pathKind(other),
      before: `It counted as one with Mapping ${first.name}, whose prefix is the same text as a ${pathKind(first)}, and was left out.`,
      now: "Both are served: the kind of path is part of the match.",
      edit: { what: "None; take it out if it was not missed.", yaml: "" },
    });
  }
}

function weights(members: readonly MappingResource[], report: Report): void {
  const weighted = members.filter(({ spec }) => spec.weight !== undefined);
  const sum = weighted.reduce((total, { spec }) => total + (spec.weight as number), 0);
  const [first, ...also] = weighted;
  if (first === undefined) return;
  const names = members.map(({ name }) => name).join(", ");
  if (sum > 100 || (sum === 100 && weighted.length < members.length)) {
    report("weights-over-100", {
      at: first,
      field: "weight",
      also,
      before: `The weights of ${names} have the sum ${sum}: whoever came last got less than is written, or nothing.`,
      now: `The weights are shares of ${sum}; a Mapping without one gets nothing, with an error.`,
      edit: { what: "Give the weights a sum of 100, or below it where a Mapping has none.", yaml: "" },
    });
  } else if (sum < 100 && weighted.length === members.length) {
    const lone = members.length === 1;
    report(lone ? "lone-weight" : "weights-fall-through", {
      at: first,
      field: "weight",
      also,
      before: `${sum} % of the requests were taken; the other ${100 - sum} % fell to the next route, or got 404.`,
      now: lone ? "It takes all of them." : `${names} take all of them, by their shares of ${sum}.`,
      edit: lone
        ? {
            what: "Take the weight out; for a part of the requests add the Mapping that takes the rest.",
            yaml: "",
          }
        : { what: "Leave the weight of one of them out: it takes the rest.", yaml: "" },
    });
  }
}

function namespaces(members: readonly MappingResource[], report: Report): void {
  const [first, ...others] = members;
  const other = others.find(({ namespace }) => namespace !== first?.namespace);
  if (first === undefined || other === undefined) return;
  report("namespaces-share-a-route", {
    at: other,
    field: "prefix",
    also: [first],
    before: `Mapping ${first.name} of namespace ${first.namespace} has the same match: the requests were split between them, silently.`,
    now: "The same.",
    edit: {
      what: "Tell them apart, by host if nothing else.",
      yaml: fieldsYaml({ host: `${other.namespace}.example.com` }),
    },
  });
}
