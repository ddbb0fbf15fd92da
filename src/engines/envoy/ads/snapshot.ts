import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { SCHEMAS, TYPE_URLS, type XdsKind, type XdsResource } from "../resources.ts";

/** A resource as it is sent, encoded once for all clients. */
export interface EncodedResource {
  readonly kind: XdsKind;
  readonly name: string;
  /** SHA-256 of the bytes, shortened: equal resources have equal versions, across restarts and replicas. */
  readonly version: string;
  readonly typeUrl: string;
  /** The message's bytes, without the Any around it. */
  readonly bytes: Uint8Array;
  readonly from: readonly string[];
}

/** All that a group of clients may have, by kind and name. Immutable. */
export type Snapshot = Readonly<Record<XdsKind, ReadonlyMap<string, EncodedResource>>>;

/** Encodes what changed; a resource whose bytes are those of `previous` keeps its object. */
export function snapshotOf(resources: readonly XdsResource[], previous: Snapshot = EMPTY): Snapshot {
  const snapshot = emptyMaps();
  for (const { kind, name, message, from } of resources) {
    const bytes = toBinary(SCHEMAS[kind], message);
    const version = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
    const before = previous[kind].get(name);
    snapshot[kind].set(
      name,
      before?.version === version && before.from.join() === from.join()
        ? before
        : { kind, name, version, typeUrl: TYPE_URLS[kind], bytes, from },
    );
  }
  return snapshot;
}

function emptyMaps(): Record<XdsKind, Map<string, EncodedResource>> {
  return {
    secret: new Map(),
    cluster: new Map(),
    endpoints: new Map(),
    listener: new Map(),
    "route-configuration": new Map(),
    "virtual-host": new Map(),
  };
}

export const EMPTY: Snapshot = emptyMaps();
