import { isIP } from "node:net";
import type { Endpoint } from "../../endpoints/endpoint.ts";
import type { NameFound } from "../../endpoints/host-names.ts";
import type { Answer } from "./agent.ts";
import { AgentTrouble } from "./agent-environment.ts";

/** A healthy instance as Consul has it. */
export interface Instance {
  /** An IP address, a host name, or whatever was registered. */
  readonly host: string;
  /** Undefined: none that can be dialled. */
  readonly port: number | undefined;
  /** Of the traffic, beside those of the others; undefined: 1. */
  readonly weight: number | undefined;
}

/** Those that pass all their checks. Of an answer that is anything else nothing is taken. */
export function instancesOf({ body }: Pick<Answer, "body">, place: string): readonly Instance[] {
  if (!Array.isArray(body)) throw new AgentTrouble(`${place} answers with what is no list of instances`);
  return (body as unknown[]).flatMap((entry) => {
    const { Node: node, Service: service, Checks: checks } = record(entry);
    if (!isRecord(node) || !isRecord(service) || !Array.isArray(checks))
      throw new AgentTrouble(`${place} answers with what is no list of instances`);
    if (!checks.every((check) => record(check).Status === "passing")) return [];
    const host = text(service.Address) || text(node.Address);
    return [{ host, port: wholeIn(service.Port, 1, 65_535), weight: weightOf(service) }];
  });
}

/** Host names among the addresses. */
export function namesOf(instances: readonly Instance[]): Set<string> {
  return new Set(instances.flatMap(({ host, port }) => (isName(host) && port !== undefined ? [host] : [])));
}

export interface Dialled {
  readonly endpoints: readonly Endpoint[];
  /** Instances that cannot be dialled, and why. */
  readonly unusable: readonly string[];
  /** What is the matter with names whose last addresses are dialled on; null: nothing. */
  readonly trouble: string | null;
}

/** Where instances are. A name stands for all of its addresses, each with the weight of the instance. */
export function dialled(
  instances: readonly Instance[],
  find: (name: string) => NameFound | undefined,
): Dialled {
  const endpoints: Endpoint[] = [];
  const unusable: string[] = [];
  const troubled: string[] = [];
  for (const { host, port, weight } of instances) {
    const found = isAddress(host) ? { addresses: [host], trouble: null } : isName(host) ? find(host) : null;
    const { addresses = [], trouble = null } = found ?? {};
    if (port !== undefined && addresses.length > 0) {
      if (trouble !== null) troubled.push(`${JSON.stringify(host)} (${trouble})`);
      for (const address of addresses)
        endpoints.push({ address, port, ...(weight === undefined ? {} : { weight }) });
    } else {
      const why =
        port === undefined
          ? "no port"
          : found === null
            ? "neither an IP address nor a host name"
            : (trouble ?? "DNS has not answered yet");
      unusable.push(`${JSON.stringify(`${host.slice(0, LONGEST_SHOWN)}:${port ?? ""}`)} (${why})`);
    }
  }
  const trouble = troubled.length === 0 ? null : `DNS has no address any more for ${listed(troubled)}`;
  return { endpoints, unusable, trouble };
}

/** A few of them, in an order that does not change with the agent's. What is registered may be any text. */
export function listed(instances: readonly string[]): string {
  const shown = [...new Set(instances)].sort();
  const more = shown.length - MOST_LISTED;
  return `${shown.slice(0, MOST_LISTED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

const MOST_LISTED = 3;
const LONGEST_SHOWN = 260;

/** A zone is of one machine. */
function isAddress(host: string): boolean {
  return isIP(host) !== 0 && !host.includes("%");
}

/** One whose last label is a number would be read as an address: `10.1` is 10.0.0.1. */
function isName(host: string): boolean {
  return isIP(host) === 0 && NAME.test(host) && host.length <= 253;
}

const LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
const NAME = new RegExp(`^(?:${LABEL}\\.)*(?!\\d+\\.?$)${LABEL}\\.?$`, "i");

/** Only of instances that pass: others get nothing, so `Weights.Warning` is never asked for. */
function weightOf({ Weights: weights }: Readonly<Record<string, unknown>>): number | undefined {
  const weight = wholeIn(record(weights).Passing, 1, Number.MAX_SAFE_INTEGER);
  return weight === undefined || weight === 1 ? undefined : Math.min(weight, HEAVIEST);
}

/** Consul's own bound. */
const HEAVIEST = 65_535;

function wholeIn(value: unknown, least: number, most: number): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most
    ? value
    : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
