import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from "../../../protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import type { Exchange } from "./pump.ts";
import type { Session } from "./session.ts";
import type { EncodedResource } from "./snapshot.ts";
import type { Subscription } from "./subscription.ts";

/** The incremental protocol (xDS "delta") over one session. */
export class DeltaExchange implements Exchange<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
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

  next(): DeltaDiscoveryResponse | null {
    const next = this.#session.next();
    if (next === null) return null;
    const { typeUrl, subscription, batch } = next;
    const nonce = String(++this.#count);
    this.#nonces.set(subscription, nonce);
    const response = create(DeltaDiscoveryResponseSchema, {
      systemVersionInfo: this.#session.label,
      typeUrl,
      nonce,
      removedResources: [...batch.removed],
    });
    response.$unknown = batch.resources.map((resource) => ({ ...RESOURCES, data: written(resource) }));
    return response;
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

/** `repeated Resource resources = 2`. What is written already goes in as a field that the encoder takes as it is. */
const RESOURCES = {
  no: DeltaDiscoveryResponseSchema.field.resources.number,
  wireType: WireType.LengthDelimited,
} as const;

/** The Resource with its length before it: made once, for all clients. */
function written(encoded: EncodedResource): Uint8Array {
  const known = WRITTEN.get(encoded);
  if (known !== undefined) return known;
  const { name, version, typeUrl, bytes } = encoded;
  const message = create(ResourceSchema, {
    name,
    version,
    resource: create(AnySchema, { typeUrl, value: bytes }),
  });
  const made = new BinaryWriter().bytes(toBinary(ResourceSchema, message)).finish();
  WRITTEN.set(encoded, made);
  return made;
}

const WRITTEN = new WeakMap<EncodedResource, Uint8Array>();
