import { create, fromBinary } from "@bufbuild/protobuf";
import {
  Cluster_DiscoveryType as DiscoveryType,
  ClusterSchema,
} from "../../../protobuf/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import { FilterChainSchema } from "../../../protobuf/generated/envoy/config/listener/v3/listener_components_pb.js";
import { ListenerSchema } from "../../../protobuf/generated/envoy/config/listener/v3/listener_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { refusingChain } from "../filter-chains.ts";
import { resource, type XdsKind } from "../resources.ts";
import { type Batch, isKey } from "./batch.ts";
import { type EncodedResource, encode } from "./encoded.ts";
import type { Refusal } from "./refusals.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Subscription } from "./subscription.ts";

/**
 * Certificates and CAs that a client refused and never had in a version that it took. Envoy keeps them even if they are removed, and refuses a whole
 * listener for the one host that presents such a one, or asks its clients for theirs: so what names them is closed, a filter chain or a cluster, and the rest is delivered.
 */
export class ClosedSecrets {
  readonly #get: (kind: XdsKind) => Subscription | undefined;
  readonly #published: () => Snapshot;
  readonly #refused = new Map<string, Refusal>();
  #standIns = new WeakMap<EncodedResource, EncodedResource>();
  readonly #seen = new WeakSet<Refusal>();
  readonly #doubted = new WeakSet<Refusal>();
  /** More than any batch is divided. */
  #attempts = 64;

  constructor(get: (kind: XdsKind) => Subscription | undefined, published: () => Snapshot) {
    this.#get = get;
    this.#published = published;
  }

  get isEmpty(): boolean {
    return this.#refused.size === 0;
  }

  /** Refused secrets, one a name, with those that are not asked for any more. */
  get refusals(): Refusal[] {
    return [...new Map([...(this.#get("secret")?.refusals ?? []), ...this.#refused]).values()];
  }

  /** A listener or cluster as it may be sent. */
  insteadOf(made: EncodedResource): EncodedResource {
    if (this.#refused.size === 0 || !USERS.includes(made.kind)) return made;
    const known = this.#standIns.get(made);
    if (known !== undefined) return known;
    const standIn = made.kind === "listener" ? this.#listener(made) : this.#cluster(made);
    this.#standIns.set(made, standIn);
    return standIn;
  }

  onRefused(subscription: Subscription): void {
    const { kind, refusals, held } = subscription;
    if (kind !== "secret") return;
    const found = [...refusals.values()].filter((refusal) => !this.#seen.has(refusal));
    for (const refusal of found) {
      const { name, version } = refusal;
      this.#seen.add(refusal);
      if (!isKey(name) && isAboutKey(refusal)) {
        subscription.doubt(this.#keysBeside(name, subscription));
        continue;
      }
      if (held.get(name)?.version === version) held.delete(name);
      if (!held.has(name)) this.#refused.set(name, refusal);
    }
    if (found.some(({ name }) => this.#refused.has(name))) this.#markUsers();
  }

  /** `wasUndoing`: a secret was refused, and the client is back at the last good one. */
  onAcknowledged({ kind }: Subscription, wasUndoing: boolean): void {
    if (wasUndoing) for (const kind of USERS) this.#get(kind)?.retry(isAboutSecret);
    if (this.#refused.size === 0 || kind === null || !USERS.includes(kind)) return;
    // CAs that were refused for the certificate beside them are doubted once, when nothing uses that any more.
    this.#get("secret")?.retry((refusal) => {
      if (this.#doubted.has(refusal) || this.#refused.has(refusal.name)) return false;
      this.#doubted.add(refusal);
      return true;
    });
  }

  /** Another version may be good. */
  onPublished(): void {
    const { secret } = this.#published();
    const over = [...this.#refused.values()].filter(
      ({ name, version }) => secret.get(name)?.version !== version,
    );
    for (const { name } of over) this.#refused.delete(name);
    if (over.length > 0) this.#markUsers();
  }

  /** Envoy loads a key once the CAs beside it are there, and refuses those for it: each key has to be tried again by itself. */
  #keysBeside(trust: string, { held }: Subscription): Batch[] {
    const published = this.#published();
    const names = USERS.flatMap((kind) => [...published[kind].values()])
      .flatMap(secretsOf)
      .filter((secrets) => secrets.includes(trust))
      .flat();
    return [...new Set(names)].filter(isKey).flatMap((name) => {
      const resource = published.secret.get(name);
      return resource === undefined || held.get(name) !== resource
        ? []
        : [{ resources: [resource], removed: [], attempt: ++this.#attempts }];
    });
  }

  #markUsers(): void {
    this.#standIns = new WeakMap();
    for (const kind of USERS) for (const name of this.#published()[kind].keys()) this.#get(kind)?.mark(name);
  }

  #listener(made: EncodedResource): EncodedResource {
    const listener = fromBinary(ListenerSchema, made.bytes);
    const chains = listener.filterChains.map((chain) => {
      if (!this.#isNamedBy(chain.transportSocket)) return chain;
      const { name, filterChainMatch } = chain;
      const { filters } = refusingChain(name, []);
      return create(FilterChainSchema, {
        name,
        ...(filterChainMatch === undefined ? {} : { filterChainMatch }),
        filters: filters ?? [],
      });
    });
    if (chains.every((chain, at) => chain === listener.filterChains[at])) return made;
    listener.filterChains = chains;
    return encode(resource("listener", made.name, listener, made.from));
  }

  /** A cluster without an address: what is for it is answered 503. */
  #cluster(made: EncodedResource): EncodedResource {
    const { name, connectTimeout, transportSocket } = fromBinary(ClusterSchema, made.bytes);
    if (!this.#isNamedBy(transportSocket)) return made;
    const closed = create(ClusterSchema, {
      name,
      ...(connectTimeout === undefined ? {} : { connectTimeout }),
      clusterDiscoveryType: { case: "type", value: DiscoveryType.STATIC },
    });
    return encode(resource("cluster", made.name, closed, made.from));
  }

  #isNamedBy(socket: TransportSocket | undefined): boolean {
    return namedBy(socket).some((name) => this.#refused.has(name));
  }
}

/** Names that are used together, in each of its transport sockets. */
function secretsOf({ kind, bytes }: EncodedResource): (readonly string[])[] {
  if (kind === "cluster") return [namedBy(fromBinary(ClusterSchema, bytes).transportSocket)];
  return fromBinary(ListenerSchema, bytes).filterChains.map(({ transportSocket }) =>
    namedBy(transportSocket),
  );
}

function namedBy(socket: TransportSocket | undefined): readonly string[] {
  if (socket?.configType.case !== "typedConfig") return [];
  const { typeUrl, value } = socket.configType.value;
  const schema = [DownstreamTlsContextSchema, UpstreamTlsContextSchema].find(({ typeName }) =>
    typeUrl.endsWith(`/${typeName}`),
  );
  const common = schema && fromBinary(schema, value).commonTlsContext;
  if (common === undefined) return [];
  const { case: by, value: peers } = common.validationContextType;
  const trust =
    by === "validationContextSdsSecretConfig"
      ? peers
      : by === "combinedValidationContext"
        ? peers.validationContextSdsSecretConfig
        : undefined;
  return [...common.tlsCertificateSdsSecretConfigs, ...(trust === undefined ? [] : [trust])].map(
    ({ name }) => name,
  );
}

const USERS: readonly XdsKind[] = ["cluster", "listener"];

/** Whether a cluster or listener was refused for the certificate, the key or the CAs that it is made with, in Envoy's words. */
function isAboutSecret({ detail }: Refusal): boolean {
  return /private key|certificate|OCSP|CRL/i.test(detail);
}

function isAboutKey({ detail }: Refusal): boolean {
  return /private key|certificate chain|OCSP/i.test(detail);
}
