import { type Follower, followStreams } from "../../credentials/follower.ts";
import { PersistentStream } from "../../credentials/persistent-stream.ts";
import type { Endpoint, EndpointReader } from "../../endpoints/endpoint.ts";
import { HostNames } from "../../endpoints/host-names.ts";
import type { EndpointsOrigin } from "../../endpoints/store.ts";
import type { SocketDial } from "../../protobuf/socket-dial.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Environment } from "./agent-environment.ts";
import { consulTrouble, followQuery } from "./blocking-query.ts";
import { dialled, type Instance, instancesOf, listed, namesOf } from "./instances.ts";

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

/** Follows the healthy instances of services: one watch each, however many clusters go there. `dns` knows those that have host names. */
export function createConsulServices(
  sink: EndpointsSink,
  dns: EndpointReader,
  clock: Clock,
): Follower<ConsulServiceWanted> {
  const lookedUp = new Map<string, HostNames>();
  const services = followStreams<ConsulServiceWanted>({
    keyOf: ({ name }) => name,
    withdraw({ name }) {
      lookedUp.get(name)?.stop();
      lookedUp.delete(name);
      sink.withdraw(name);
    },
    open: ({ name, address, datacenter, service, tags, env, dial }, originNow) => {
      const what = `service ${service}${tags.length === 0 ? "" : ` with ${tags.join(", ")}`} in datacenter ${datacenter}`;
      let instances: readonly Instance[] = [];
      let whyNone = "";
      let agentTrouble: string | null = null;
      const publish = (): void => {
        const { endpoints, unusable, trouble } = dialled(instances, (host) => names.find(host));
        const leftOut = `${unusable.length} of ${instances.length} healthy instances of ${what} cannot be dialled: ${listed(unusable)}`;
        const isLeftOut = unusable.length > 0;
        sink.publish(name, endpoints, originNow(), isLeftOut ? leftOut : whyNone, isLeftOut ? leftOut : null);
        const said = agentTrouble ?? (trouble === null ? null : `${trouble}, where instances of ${what} are`);
        if (said !== null) sink.reportTrouble(name, originNow(), said);
      };
      const names = new HostNames(dns, clock, publish);
      lookedUp.set(name, names);
      return [
        new PersistentStream({
          clock,
          explain: consulTrouble,
          onTrouble(trouble) {
            agentTrouble = trouble === null ? null : `${trouble}, asked about ${what}`;
            if (agentTrouble !== null) sink.reportTrouble(name, originNow(), agentTrouble);
          },
          open: followQuery({
            address,
            env,
            dial,
            clock,
            path: `/v1/health/service/${encodeURIComponent(service)}`,
            query: { passing: "1", dc: datacenter, ...(tags.length === 0 ? {} : { tag: tags }) },
            async take(answer, place, signal) {
              instances = instancesOf(answer, place);
              whyNone = answer.isFiltered
                ? `Consul's ACLs show no healthy instance of ${what} to this token`
                : `no healthy instance of ${what} in Consul`;
              agentTrouble = null;
              await names.want(namesOf(instances));
              if (!signal.aborted) publish();
              return null;
            },
          }),
        }),
      ];
    },
  });
  return {
    follow: (wanted) => services.follow(wanted),
    stop() {
      services.stop();
      for (const names of lookedUp.values()) names.stop();
    },
  };
}
