import { createHash } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  type DiscoveryRequest,
  DiscoveryResponseSchema,
} from "../../../protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import type { XdsKind } from "../resources.ts";
import { type Batch, sentOf } from "./batch.ts";
import type { Pieces } from "./grpc-stream.ts";
import type { Exchange } from "./pump.ts";
import type { Session } from "./session.ts";
import type { EncodedResource } from "./encoded.ts";
import type { Subscription } from "./subscription.ts";

/**
 * The state-of-the-world protocol over one session: requests name everything that is wanted, and responses about clusters and
 * listeners hold everything there is. What is refused is narrowed down as in the delta protocol, each part together with what the client has already.
 */
export class WorldExchange implements Exchange<DiscoveryRequest, Pieces> {
  readonly #session: Session;
  /** By type: the nonce of the last response, and whether it was answered. */
  readonly #nonces = new Map<Subscription, { readonly nonce: string; answered: boolean }>();
  #count = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  take(request: DiscoveryRequest): void {
    const session = this.#session;
    const opened = session.open(request.typeUrl);
    if (opened === null) return;
    const { subscription, isNew } = opened;
    if (!isNew && !this.#isCurrent(subscription, request)) return;
    const names = new Set(request.resourceNames);
    const isEverything = names.delete("*") || (isNew && names.size === 0);
    const known = session.known(subscription, isEverything ? session.namesOf(subscription) : names);
    const hasAll = isNew && request.versionInfo !== "" && request.versionInfo === versionOf(known);
    if (hasAll) for (const resource of known) subscription.held.set(resource.name, resource);
    for (const name of subscription.names) if (!names.has(name)) session.unsubscribe(subscription, name);
    for (const name of names)
      if (!subscription.names.has(name)) session.subscribe(subscription, name, hasAll);
    if (isEverything && !subscription.wildcard) {
      session.subscribeAll(subscription);
      subscription.mustAnswer = !hasAll;
    }
  }

  next(): Pieces | null {
    for (let next = this.#session.next(); next !== null; next = this.#session.next()) {
      const { typeUrl, subscription, batch } = next;
      // Of other types a response says nothing about what it leaves out.
      if (!isWhole(subscription.kind) && batch.resources.length === 0 && batch.removed.length > 0) {
        this.#session.acknowledge(subscription);
        continue;
      }
      const nonce = String(++this.#count);
      this.#nonces.set(subscription, { nonce, answered: false });
      const all = afterwards(subscription, batch);
      const sent = isWhole(subscription.kind) ? all : sentOf(batch);
      const head = create(DiscoveryResponseSchema, { versionInfo: versionOf(all), typeUrl, nonce });
      return [toBinary(DiscoveryResponseSchema, head), ...sent.map(({ inWorld }) => inWorld)];
    }
    return null;
  }

  close(): void {
    this.#session.close();
  }

  /** A request with an old nonce was written before the last response was read: another one follows. */
  #isCurrent(subscription: Subscription, { responseNonce, errorDetail }: DiscoveryRequest): boolean {
    const last = this.#nonces.get(subscription);
    if (responseNonce !== (last?.nonce ?? "")) return false;
    if (last === undefined || last.answered) return true;
    last.answered = true;
    if (errorDetail === undefined) this.#session.acknowledge(subscription);
    else this.#session.refuse(subscription, errorDetail.message);
    return true;
  }
}

/** Whether whatever a response leaves out is gone. */
function isWhole(kind: XdsKind | null): boolean {
  return kind === "cluster" || kind === "listener";
}

/** All that the client has once it has taken the batch. */
function afterwards(subscription: Subscription, { resources, removed }: Batch): EncodedResource[] {
  const all = new Map<string, EncodedResource>();
  for (const [name, held] of subscription.held.entries())
    if ("bytes" in held && subscription.isSubscribed(name)) all.set(name, held);
  for (const resource of resources) all.set(resource.name, resource);
  for (const name of removed) all.delete(name);
  return [...all.values()];
}

/** Equal for equal resources, so that a client that comes back is recognised. */
function versionOf(resources: Iterable<EncodedResource>): string {
  const lines = [...resources].map(({ name, version }) => `${name} ${version}`).sort();
  return createHash("sha256").update(lines.join("\n")).digest("base64url").slice(0, 22);
}
