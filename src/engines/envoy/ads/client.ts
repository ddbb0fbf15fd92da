import type { X509Certificate } from "node:crypto";
import type { Node } from "../../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import type { XdsKind } from "../resources.ts";
import type { Holdings } from "./holdings.ts";

/** Who opened the connection, as the transport knows it. */
export interface Peer {
  readonly transport: "unix" | "cleartext" | "tls";
  /** Verified against the client CA; null where there is none. */
  readonly certificate: X509Certificate | null;
  /** Undefined on a Unix socket. */
  readonly address: string | undefined;
}

/** To which group a client belongs, or why it may have nothing. `identity` is for pages and logs. */
export type Admission =
  | { readonly group: string; readonly identity: string }
  | { readonly refused: "unauthenticated" | "permission-denied"; readonly message: string };

export type Authorize = (client: { readonly peer: Peer; readonly node: Node }) => Admission;

/** One connected client, as pages show it. */
export interface AdsClient {
  readonly node: string;
  readonly group: string;
  readonly identity: string;
  readonly protocol: "delta" | "state-of-the-world";
  /** As the client names itself, e.g. `envoy 1.40.0`. */
  readonly software: string;
  /** Milliseconds since the epoch. */
  readonly connectedSince: number;
  /** Label of the newest publication of which the client has everything that it did not refuse; null: none yet. */
  readonly revision: string | null;
  /** Everything published is acknowledged or refused, and the route configurations of its listeners were asked for. */
  readonly isSettled: boolean;
  readonly kinds: Readonly<Partial<Record<XdsKind, AdsKindState>>>;
  readonly nacks: readonly AdsNack[];
  /** On this stream so far. */
  readonly sent: AdsSent;
}

/** What went to a client. */
export interface AdsSent {
  readonly responses: number;
  readonly resources: number;
  /** Of the resources, without what is around them. */
  readonly bytes: number;
  /** Responses of them that it refused. */
  readonly refused: number;
}

export interface AdsKindState {
  /** `*`: all there are. */
  readonly subscribed: "*" | number;
  /** Version by name, of what the client has acknowledged. */
  readonly acknowledged: Pick<Holdings, "size" | "get" | "keys" | "entries">;
  /** How many wait or are under way. */
  readonly pending: number;
}

/** A resource that a client does not take. */
export interface AdsNack {
  readonly kind: XdsKind;
  readonly name: string;
  readonly version: string;
  /** In the client's words. */
  readonly detail: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The parts of the model concerned: single routes where they could be found, else all that the resource was made from. */
  readonly from: readonly string[];
  readonly instead: NackOutcome;
}

/** What a client has instead of what it refuses. */
export type NackOutcome =
  /** The route answers 503, the others of its host are served. */
  | "closed"
  /** So it does, and takes requests that it would not have taken: conditions of its match are what is refused. */
  | "closed-wider"
  /** The whole host answers 503: not even the route's path is understood, and there is no earlier version. */
  | "host-closed"
  /** The resource as it was. */
  | "last-good"
  | "nothing";
