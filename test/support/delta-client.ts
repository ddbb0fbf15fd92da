import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { TYPE_URLS, type XdsKind } from "../../src/engines/envoy/resources.ts";
import { AggregatedDiscoveryService } from "../../src/protobuf/generated/envoy/service/discovery/v3/ads_pb.js";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from "../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";

export interface DeltaClientOptions {
  /** Unix socket of the server. */
  readonly path?: string;
  /** How the server is reached where it is not by a Unix socket: a connection that speaks HTTP/2 from the beginning. */
  readonly connect?: () => Duplex;
  readonly node: string;
  /** Undefined: taken. Else the client refuses the whole response, saying that. */
  readonly judge?: (response: DeltaDiscoveryResponse) => string | undefined;
  /** Answers by itself (default), or only as the test says. */
  readonly answers?: boolean;
}

/** One response as a client saw it. */
export interface Seen {
  readonly kind: XdsKind;
  readonly names: readonly string[];
  readonly removed: readonly string[];
  readonly nonce: string;
  /** Of the resources, without what is around them. */
  readonly bytes: number;
  readonly accepted: boolean;
}

/** A client of the delta protocol that behaves as Envoy does, without serving anything: subscribes, keeps what it gets, acknowledges. */
export class DeltaClient {
  /** What it has, by kind: name to version. */
  readonly held: Record<XdsKind, Map<string, string>>;
  readonly seen: Seen[] = [];
  readonly responses: DeltaDiscoveryResponse[] = [];
  /** Ended, with that error. */
  failure: unknown = null;
  /** Called at each response, after it was taken. */
  onSeen: () => void = () => undefined;
  readonly ended: Promise<void>;
  readonly #options: DeltaClientOptions;
  readonly #queue: MessageInitShape<typeof DeltaDiscoveryRequestSchema>[] = [];
  readonly #abort = new AbortController();
  #wake: () => void = () => undefined;
  #isFirst = true;

  constructor(options: DeltaClientOptions, held?: Record<XdsKind, Map<string, string>>) {
    this.#options = options;
    this.held = held ?? emptyHeld();
    this.ended = this.#run().catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.failure = error;
    });
  }

  /** Sends a request as it is. */
  send(
    kind: XdsKind | string,
    request: Omit<MessageInitShape<typeof DeltaDiscoveryRequestSchema>, "$typeName">,
  ): void {
    const typeUrl = kind in TYPE_URLS ? TYPE_URLS[kind as XdsKind] : kind;
    const node = this.#isFirst ? { node: { id: this.#options.node, userAgentName: "delta-client" } } : {};
    this.#isFirst = false;
    this.#queue.push({ typeUrl, ...node, ...request });
    this.#wake();
  }

  /** Asks for all of a kind, saying what it has already. */
  subscribeAll(kind: XdsKind): void {
    this.send(kind, { initialResourceVersions: Object.fromEntries(this.held[kind]) });
  }

  /** The first request of a kind by name. */
  subscribe(kind: XdsKind, names: readonly string[]): void {
    this.send(kind, {
      resourceNamesSubscribe: [...names],
      initialResourceVersions: Object.fromEntries(this.held[kind]),
    });
  }

  acknowledge(response: DeltaDiscoveryResponse, detail?: string): void {
    this.send(response.typeUrl, {
      responseNonce: response.nonce,
      ...(detail === undefined ? {} : { errorDetail: { code: 3, message: detail } }),
    });
  }

  /** Resolves when `isSo` is, which is asked after each response. */
  async until(isSo: () => boolean, what = String(isSo)): Promise<void> {
    const end = Date.now() + 60_000;
    while (!isSo()) {
      if (this.failure !== null) throw this.failure;
      if (Date.now() > end)
        throw new Error(`waited in vain for ${what}; seen ${JSON.stringify(this.seen.slice(-5))}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.ended;
  }

  async #run(): Promise<void> {
    const options: CallOptions = { signal: this.#abort.signal };
    const { path = "", connect: dial = () => connect(path) } = this.#options;
    const transport = createGrpcTransport({
      baseUrl: "http://xds",
      nodeOptions: { createConnection: () => dial() },
    });
    const client = createClient(AggregatedDiscoveryService, transport);
    for await (const response of client.deltaAggregatedResources(this.#requests(), options))
      this.#take(response);
  }

  async *#requests(): AsyncGenerator<DeltaDiscoveryRequest> {
    this.#abort.signal.addEventListener("abort", () => this.#wake());
    while (!this.#abort.signal.aborted) {
      const next = this.#queue.shift();
      if (next !== undefined) yield create(DeltaDiscoveryRequestSchema, next);
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  #take(response: DeltaDiscoveryResponse): void {
    const { typeUrl, resources, removedResources, nonce } = response;
    const kind = (Object.keys(TYPE_URLS) as XdsKind[]).find((each) => TYPE_URLS[each] === typeUrl);
    const detail = this.#options.judge?.(response);
    if (kind !== undefined) {
      this.seen.push({
        kind,
        names: resources.map(({ name }) => name),
        removed: removedResources,
        nonce,
        bytes: resources.reduce((sum, { resource }) => sum + (resource?.value.length ?? 0), 0),
        accepted: detail === undefined,
      });
      if (detail === undefined) {
        for (const { name, version } of resources) this.held[kind].set(name, version);
        for (const name of removedResources) this.held[kind].delete(name);
      }
    }
    this.responses.push(response);
    if (this.#options.answers !== false) this.acknowledge(response, detail);
    this.onSeen();
  }
}

/** `make`: a map for each kind. */
export function emptyHeld(
  make: () => Map<string, string> = () => new Map(),
): Record<XdsKind, Map<string, string>> {
  return {
    secret: make(),
    cluster: make(),
    endpoints: make(),
    listener: make(),
    "route-configuration": make(),
    "virtual-host": make(),
  };
}
