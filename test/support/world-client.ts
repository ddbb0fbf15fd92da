import { connect } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { TYPE_URLS, type XdsKind } from "../../src/engines/envoy/resources.ts";
import { AggregatedDiscoveryService } from "../../src/protobuf/generated/envoy/service/discovery/v3/ads_pb.js";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
} from "../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";

/** A client of the state-of-the-world protocol; it says what it is told to say. */
export class WorldClient {
  readonly responses: DiscoveryResponse[] = [];
  readonly ended: Promise<void>;
  readonly #queue: MessageInitShape<typeof DiscoveryRequestSchema>[] = [];
  readonly #abort = new AbortController();
  readonly #path: string;
  #wake: () => void = () => undefined;

  constructor(path: string) {
    this.#path = path;
    this.ended = this.#run().catch(() => undefined);
  }

  send(
    kind: XdsKind,
    request: Omit<MessageInitShape<typeof DiscoveryRequestSchema>, "$typeName"> = {},
  ): void {
    this.#queue.push({ node: { id: "world-client" }, typeUrl: TYPE_URLS[kind], ...request });
    this.#wake();
  }

  /** Answers the last response of that kind: takes it, or refuses it with `detail`. */
  answer(kind: XdsKind, names: readonly string[], detail?: string): void {
    const [last, before] = this.of(kind).reverse();
    if (last === undefined) throw new Error(`no response about ${kind} came`);
    this.send(kind, {
      resourceNames: [...names],
      responseNonce: last.nonce,
      versionInfo: detail === undefined ? last.versionInfo : (before?.versionInfo ?? ""),
      ...(detail === undefined ? {} : { errorDetail: { code: 3, message: detail } }),
    });
  }

  of(kind: XdsKind): DiscoveryResponse[] {
    return this.responses.filter(({ typeUrl }) => typeUrl === TYPE_URLS[kind]);
  }

  async until(isSo: () => boolean): Promise<void> {
    const end = Date.now() + 60_000;
    while (!isSo()) {
      if (Date.now() > end) throw new Error(`waited in vain for ${isSo}; ${this.responses.length} responses`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.ended;
  }

  async #run(): Promise<void> {
    const nodeOptions = { createConnection: () => connect(this.#path) };
    const client = createClient(
      AggregatedDiscoveryService,
      createGrpcTransport({ baseUrl: "http://xds", nodeOptions }),
    );
    const { signal } = this.#abort;
    for await (const response of client.streamAggregatedResources(this.#requests(), { signal }))
      this.responses.push(response);
  }

  async *#requests(): AsyncGenerator<DiscoveryRequest> {
    while (!this.#abort.signal.aborted) {
      const next = this.#queue.shift();
      if (next !== undefined) yield create(DiscoveryRequestSchema, next);
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          this.#abort.signal.addEventListener("abort", () => resolve(), { once: true });
        });
    }
  }
}
