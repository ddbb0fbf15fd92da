import { create, toBinary } from "@bufbuild/protobuf";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryResponseSchema,
} from "../../../protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import { sentOf } from "./batch.ts";
import type { Pieces } from "./grpc-stream.ts";
import type { Exchange } from "./pump.ts";
import type { Session } from "./session.ts";
import type { Subscription } from "./subscription.ts";

/** The incremental protocol (xDS "delta") over one session. */
export class DeltaExchange implements Exchange<DeltaDiscoveryRequest, Pieces> {
  readonly #session: Session;
  /** By type: the nonce of the response that is under way. */
  readonly #nonces = new Map<Subscription, string>();
  #count = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  take(request: DeltaDiscoveryRequest): void {
    const session = this.#session;
    const opened = session.open(request.typeUrl);
    if (opened === null) return;
    const { subscription, isNew } = opened;
    const known = isNew ? Object.entries(request.initialResourceVersions) : [];
    for (const [name, version] of known) subscription.held.set(name, { version });
    if (!isNew) this.#answered(subscription, request);
    for (const name of request.resourceNamesUnsubscribe) {
      if (name === "*") subscription.unsubscribeAll();
      else session.unsubscribe(subscription, name);
    }
    const names = request.resourceNamesSubscribe;
    for (const name of names) {
      if (name === "*") session.subscribeAll(subscription);
      else session.subscribe(subscription, name, isNew && subscription.held.has(name));
    }
    // An empty first list means everything (the older way to write `*`).
    if (isNew && names.length === 0) session.subscribeAll(subscription);
    if (isNew && subscription.wildcard) subscription.mustAnswer = known.length === 0;
    if (isNew && subscription.wildcard && subscription.kind === "cluster" && known.length === 0)
      session.start();
  }

  next(): Pieces | null {
    const next = this.#session.next();
    if (next === null) return null;
    const { typeUrl, subscription, batch } = next;
    const nonce = String(++this.#count);
    this.#nonces.set(subscription, nonce);
    const head = create(DeltaDiscoveryResponseSchema, {
      systemVersionInfo: this.#session.label,
      typeUrl,
      nonce,
      removedResources: [...batch.removed],
    });
    return [toBinary(DeltaDiscoveryResponseSchema, head), ...sentOf(batch).map(({ inDelta }) => inDelta)];
  }

  close(): void {
    this.#session.close();
  }

  /** An ACK or NACK of the response that is under way; that of any other nonce says nothing. */
  #answered(subscription: Subscription, { responseNonce, errorDetail }: DeltaDiscoveryRequest): void {
    if (responseNonce === "" || responseNonce !== this.#nonces.get(subscription)) return;
    this.#nonces.delete(subscription);
    if (errorDetail === undefined) this.#session.acknowledge(subscription);
    else this.#session.refuse(subscription, errorDetail.message);
  }
}
