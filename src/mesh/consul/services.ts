import { isIP } from "node:net";
import { type Follower, followStreams } from "../../credentials/follower.ts";
import { PersistentStream } from "../../credentials/persistent-stream.ts";
import type { Endpoint } from "../../endpoints/endpoint.ts";
import type { EndpointsOrigin } from "../../endpoints/store.ts";
import type { SocketDial } from "../../protobuf/socket-dial.ts";
import type { Clock } from "../../telemetry/clock.ts";
import { AgentTrouble, type Answer, type Environment } from "./agent.ts";
import { consulTrouble, followQuery } from "./blocking-query.ts";

/** The instances of a service in Consul's catalog, under the name that they have in the endpoint store. */
export interface ConsulServiceWanted {
  readonly name: string;
  /** Of the agent, as written. */
  readonly address: string;
  readonly datacenter: string;
  readonly service: string;
  readonly tags: readonly string[];
  readonly env: Environment;
  /** Of a socket; absent: any. */
  readonly dial?: SocketDial | undefined;
  readonly origin: EndpointsOrigin;
}

/** The endpoint store, as a source sees it. */
export interface EndpointsSink {
  publish(
    name: string,
    endpoints: readonly Endpoint[],
    origin: EndpointsOrigin,
    missing?: string,
    leftOut?: string | null,
  ): void;
  reportTrouble(name: string, origin: EndpointsOrigin, trouble: string): void;
  withdraw(name: string): void;
}

/** Follows the healthy instances of services: one watch each, however many clusters go there. */
export function createConsulServices(sink: EndpointsSink, clock: Clock): Follower<ConsulServiceWanted> {
  return followStreams({
    keyOf: ({ name }) => name,
    withdraw: ({ name }) => sink.withdraw(name),
    open: ({ name, address, datacenter, service, tags, env, dial }, originNow) => {
      const what = `service ${service}${tags.length === 0 ? "" : ` with ${tags.join(", ")}`} in datacenter ${datacenter}`;
      return [
        new PersistentStream({
          clock,
          explain: consulTrouble,
          onTrouble: (trouble) => {
            if (trouble !== null) sink.reportTrouble(name, originNow(), `${trouble}, asked about ${what}`);
          },
          open: followQuery({
            address,
            env,
            dial,
            clock,
            path: `/v1/health/service/${encodeURIComponent(service)}`,
            query: { passing: "1", dc: datacenter, ...(tags.length === 0 ? {} : { tag: tags }) },
            take(answer, place) {
              const { endpoints, unusable } = instancesOf(answer, place);
              const why =
                unusable.length > 0
                  ? `no healthy instance of ${what} has an IP address and a port: ${listed(unusable)}`
                  : answer.isFiltered
                    ? `Consul's ACLs show no healthy instance of ${what} to this token`
                    : `no healthy instance of ${what} in Consul`;
              const leftOut =
                unusable.length === 0
                  ? null
                  : `${unusable.length} of ${endpoints.length + unusable.length} healthy instances of ${what} have no IP address and port: ${listed(unusable)}`;
              sink.publish(name, endpoints, originNow(), why, leftOut);
              return null;
            },
          }),
        }),
      ];
    },
  });
}

/** Those that pass all their checks; `unusable` as Consul has them, since only addresses are dialled. Of an answer that is anything else nothing is taken. */
export function instancesOf(
  { body }: Pick<Answer, "body">,
  place: string,
): { readonly endpoints: readonly Endpoint[]; readonly unusable: readonly string[] } {
  if (!Array.isArray(body)) throw new AgentTrouble(`${place} answers with what is no list of instances`);
  const endpoints: Endpoint[] = [];
  const unusable: string[] = [];
  for (const entry of body as unknown[]) {
    const { Node: node, Service: service, Checks: checks } = record(entry);
    if (!isRecord(node) || !isRecord(service) || !Array.isArray(checks))
      throw new AgentTrouble(`${place} answers with what is no list of instances`);
    if (!checks.every((check) => record(check).Status === "passing")) continue;
    const address = text(service.Address) || text(node.Address);
    const port = service.Port;
    const isUsable = isIP(address) !== 0 && typeof port === "number" && port > 0 && port < 65_536;
    if (isUsable) endpoints.push({ address, port, ...weightOf(service) });
    else unusable.push(`${address}:${typeof port === "number" ? port : ""}`);
  }
  return { endpoints, unusable };
}

/** Only of instances that pass: others get nothing, so `Weights.Warning` is never asked for. */
function weightOf({ Weights: weights }: Readonly<Record<string, unknown>>): { readonly weight?: number } {
  const { Passing: weight } = record(weights);
  const isWeight = typeof weight === "number" && Number.isInteger(weight) && weight > 1;
  return isWeight ? { weight: Math.min(weight, HEAVIEST) } : {};
}

/** Consul's own bound. */
const HEAVIEST = 65_535;

/** A few of them, in an order that does not change with the agent's. What is registered may be any text. */
function listed(instances: readonly string[]): string {
  const shown = [...new Set(instances)].sort().map((each) => JSON.stringify(each.slice(0, 260)));
  const more = shown.length - MOST_LISTED;
  return `${shown.slice(0, MOST_LISTED).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

const MOST_LISTED = 3;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
