import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { create, type DescMessage, type DescMethod, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { HandshakeReason } from "../../../diagnostics/handshake.ts";
import { type Node, NodeSchema } from "../../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import { AggregatedDiscoveryService } from "../../../protobuf/generated/envoy/service/discovery/v3/ads_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
} from "../../../protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import type { Clock } from "../../../telemetry/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { AdsClient, Authorize, Peer } from "./client.ts";
import { ConnectedClient } from "./connected-client.ts";
import { DeltaExchange } from "./delta-exchange.ts";
import { Group } from "./group.ts";
import type { Pieces } from "./grpc-stream.ts";
import { type Exchange, pump } from "./pump.ts";
import { Session } from "./session.ts";
import type { Snapshot } from "./snapshot.ts";
import { type Listening, type ListenOptions, listen } from "./transport.ts";
import { Turns } from "./turns.ts";
import { WorldExchange } from "./world-exchange.ts";

export interface AdsServerOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly authorize: Authorize;
  /** Other gRPC services on the same connections. */
  readonly services?: readonly ((router: ConnectRouter) => void)[];
  /** How long a route waits for its cluster to warm, and a removal for those that used what goes. */
  readonly orderLimitMs?: number;
}

/** An xDS server that listens nowhere yet. */
export function createAdsServer(options: AdsServerOptions): AdsServer {
  return new AdsServer(options);
}

/** Serves snapshots over the aggregated discovery service. Which group a client is of is decided by `authorize`, on its first request. */
export class AdsServer {
  readonly #options: AdsServerOptions;
  readonly #groups = new Map<string, Group>();
  readonly #turns: Turns;
  readonly #listening: Listening[] = [];
  readonly #listeners = new Set<() => void>();
  #isTelling = false;
  /** Clients that were not let in, by what they lacked. */
  readonly refusals = {
    handshake: new Map<HandshakeReason, number>(),
    "no-certificate": 0,
    "no-group": 0,
  };

  constructor(options: AdsServerOptions) {
    this.#options = options;
    this.#turns = new Turns(options.clock);
  }

  /** The group's clients are to try once more to open ports that they could not, with what is published next. */
  retryPorts(group: string): void {
    for (const { session } of this.#group(group).clients) session.retryPorts();
  }

  /** What the group is served from now on. `label` is a name for it, e.g. the revision's number. */
  publish(group: string, snapshot: Snapshot, label: string): void {
    const served = this.#group(group);
    served.publish(snapshot, label);
    for (const client of served.clients) client.note(snapshot);
    this.#changed();
  }

  /** Those whose streams are open, of all groups. */
  get clients(): AdsClient[] {
    return [...this.#groups.values()].flatMap(({ clients }) => [...clients].map(({ state }) => state));
  }

  /** Called soon after whatever `clients` shows has changed. Returns the function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async listen(options: ListenOptions): Promise<Listening> {
    const { services = [], logger, clock } = this.#options;
    const listening = await listen(
      options,
      (router) => {
        for (const service of services) service(router);
      },
      logger,
      clock,
      ({ reason }) => {
        const { handshake } = this.refusals;
        handshake.set(reason, (handshake.get(reason) ?? 0) + 1);
      },
      new Map([
        [
          pathOf(AggregatedDiscoveryService.method.deltaAggregatedResources),
          (requests, peer) => this.#delta(requests, peer),
        ],
        [
          pathOf(AggregatedDiscoveryService.method.streamAggregatedResources),
          (requests, peer) => this.#world(requests, peer),
        ],
      ]),
    );
    this.#listening.push(listening);
    return listening;
  }

  async close(): Promise<void> {
    await Promise.all(this.#listening.splice(0).map((listening) => listening.close()));
  }

  #delta(requests: AsyncIterable<Uint8Array>, peer: Peer): AsyncGenerator<Pieces> {
    return pump(read(DeltaDiscoveryRequestSchema, requests), (first, wake) => {
      const client = this.#admit(first.node, "delta", peer, wake);
      return this.#noting(client, new DeltaExchange(client.session));
    });
  }

  #world(requests: AsyncIterable<Uint8Array>, peer: Peer): AsyncGenerator<Pieces> {
    return pump(read(DiscoveryRequestSchema, requests), (first, wake) => {
      const client = this.#admit(first.node, "state-of-the-world", peer, wake);
      return this.#noting(client, new WorldExchange(client.session));
    });
  }

  #admit(
    node: Node | undefined,
    protocol: AdsClient["protocol"],
    peer: Peer,
    wake: () => void,
  ): ConnectedClient {
    const { authorize, clock, logger, orderLimitMs } = this.#options;
    const known = node ?? create(NodeSchema);
    const admission = authorize({ peer, node: known });
    if ("refused" in admission) {
      logger.warn({ node: known.id, reason: admission.message }, "an xDS client was refused");
      this.refusals[admission.refused === "unauthenticated" ? "no-certificate" : "no-group"]++;
      const code = admission.refused === "unauthenticated" ? Code.Unauthenticated : Code.PermissionDenied;
      throw new ConnectError(admission.message, code);
    }
    const group = this.#group(admission.group);
    const session = new Session(
      {
        clock,
        orderLimitMs: orderLimitMs ?? ORDER_LIMIT_MS,
        onReady: wake,
        turns: this.#turns,
        // Others may never ask for listeners.
        onLate: known.userAgentName === "envoy" ? (clusters) => this.#onLate(known.id, clusters) : undefined,
      },
      group.view(protocol),
      group.label,
    );
    const client = new ConnectedClient(
      { ...admission, node: known.id, protocol, software: softwareOf(known), connectedSince: clock.now() },
      session,
      () => group.snapshot,
    );
    group.clients.add(client);
    logger.info(
      { node: known.id, group: admission.group, identity: admission.identity },
      "an xDS client is connected",
    );
    this.#changed();
    return client;
  }

  #onLate(node: string, clusters: readonly string[]): void {
    const { logger } = this.#options;
    logger.warn(
      { node, clusters: clusters.slice(0, 10), count: clusters.length },
      "an Envoy that starts waits for names that DNS does not answer for: it is given its listeners first",
    );
  }

  /** What a request may have changed is noted, and whoever listens is told. */
  #noting<Request, Response>(
    client: ConnectedClient,
    exchange: Exchange<Request, Response>,
  ): Exchange<Request, Response> {
    const group = this.#group(client.options.group);
    return {
      take: (request) => {
        exchange.take(request);
        client.note(group.snapshot);
        this.#changed();
      },
      next: () => {
        const response = exchange.next();
        // What was looked at may have needed no response.
        if (response === null) {
          client.note(group.snapshot);
          this.#changed();
        }
        return response;
      },
      close: () => {
        exchange.close();
        group.clients.delete(client);
        this.#options.logger.info({ node: client.options.node }, "an xDS client is gone");
        this.#changed();
      },
    };
  }

  #group(name: string): Group {
    const known = this.#groups.get(name);
    if (known !== undefined) return known;
    const made = new Group();
    this.#groups.set(name, made);
    return made;
  }

  /** A hundred clients answer at once: who listens is told once. */
  #changed(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    setImmediate(() => {
      this.#isTelling = false;
      for (const listener of this.#listeners) listener();
    });
  }
}

async function* read<Schema extends DescMessage>(
  schema: Schema,
  messages: AsyncIterable<Uint8Array>,
): AsyncGenerator<MessageShape<Schema>> {
  for await (const message of messages) yield parsed(schema, message);
}

function parsed<Schema extends DescMessage>(schema: Schema, message: Uint8Array): MessageShape<Schema> {
  try {
    return fromBinary(schema, message);
  } catch (error) {
    throw new ConnectError(`not a ${schema.name}: ${(error as Error).message}`, Code.InvalidArgument);
  }
}

/** Of gRPC's requests. */
function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

function softwareOf({ userAgentName, userAgentVersionType }: Node): string {
  if (userAgentVersionType.case === "userAgentVersion")
    return `${userAgentName} ${userAgentVersionType.value}`;
  const version = userAgentVersionType.value?.version;
  if (version === undefined) return userAgentName;
  return `${userAgentName} ${version.majorNumber}.${version.minorNumber}.${version.patch}`;
}

/** Envoy gives up waiting for a cluster's secret or first resolution after 15 s. */
const ORDER_LIMIT_MS = 20_000;
