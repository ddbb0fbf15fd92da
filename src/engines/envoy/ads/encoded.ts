import { createHash } from "node:crypto";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { SCHEMAS, TYPE_URLS, type XdsKind, type XdsMessages, type XdsResource } from "../resources.ts";

/** A resource as it is sent, encoded once for all clients. */
export interface EncodedResource {
  readonly kind: XdsKind;
  readonly name: string;
  /** SHA-256 of the bytes, shortened: equal resources have equal versions, across restarts and replicas. */
  readonly version: string;
  readonly typeUrl: string;
  /** The message's bytes, without the Any around it. */
  readonly bytes: Uint8Array;
  readonly byteLength: number;
  /** As a field of a DeltaDiscoveryResponse. */
  readonly inDelta: Uint8Array;
  /** As a field of a DiscoveryResponse. */
  readonly inWorld: Uint8Array;
  readonly from: readonly string[];
}

/** The same resource object is encoded once. */
export function encode(resource: XdsResource): EncodedResource {
  const known = encodings.get(resource);
  if (known !== undefined) return known;
  const encoded = new Encoded(resource);
  encodings.set(resource, encoded);
  return encoded;
}

/** The resource with its bytes alone: a message as objects takes some ten times as much memory. It is read again when somebody asks. */
export function sealed<Kind extends XdsKind>(resource: XdsResource<Kind>): XdsResource<Kind> {
  const encoded = encode(resource);
  const { kind, name, from } = resource;
  const seal: XdsResource<Kind> = {
    kind,
    name,
    from,
    get message() {
      return fromBinary(SCHEMAS[kind], encoded.bytes) as unknown as XdsMessages[Kind];
    },
  };
  encodings.set(seal, encoded);
  return seal;
}

const encodings = new WeakMap<XdsResource, EncodedResource>();

/**
 * All of its forms are parts of one piece of memory: `repeated Resource resources = 2` holds `Any resource = 2`, which is written as
 * `repeated Any resources = 2` of the other protocol is, and holds the message.
 */
class Encoded implements EncodedResource {
  readonly kind: XdsKind;
  readonly name: string;
  readonly version: string;
  readonly from: readonly string[];
  readonly inDelta: Uint8Array;
  readonly byteLength: number;
  /** Where in `inDelta` the Any begins, as a field, and the message. */
  readonly #any: number;
  readonly #message: number;

  constructor({ kind, name, message, from }: XdsResource) {
    const bytes = toBinary(SCHEMAS[kind], message);
    this.kind = kind;
    this.name = name;
    this.version = createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
    this.from = from;
    this.byteLength = bytes.length;
    const end = writer.tag(3, LENGTH).string(name).finish();
    const start = writer.tag(1, LENGTH).string(this.version).finish();
    const head = writer.tag(1, LENGTH).string(this.typeUrl).tag(2, LENGTH).uint32(bytes.length).finish();
    const any = [opening(head.length + bytes.length), head, bytes];
    this.inDelta = joined([opening(lengthOf([start, ...any, end])), start, ...any, end]);
    this.#message = this.inDelta.length - end.length - bytes.length;
    this.#any = this.#message + bytes.length - lengthOf(any);
  }

  get typeUrl(): string {
    return TYPE_URLS[this.kind];
  }

  get inWorld(): Uint8Array {
    return this.inDelta.subarray(this.#any, this.#message + this.byteLength);
  }

  get bytes(): Uint8Array {
    return this.inDelta.subarray(this.#message, this.#message + this.byteLength);
  }
}

/** Tag and length of `resources` of both responses, and of `Resource.resource`: all three are field 2. */
function opening(length: number): Uint8Array {
  return writer.tag(2, LENGTH).uint32(length).finish();
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

/** Of small parts: it keeps the room of the largest. */
const writer = new BinaryWriter();
const LENGTH = WireType.LengthDelimited;
