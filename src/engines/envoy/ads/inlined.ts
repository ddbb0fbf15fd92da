import { fromBinary } from "@bufbuild/protobuf";
import { RouteConfigurationSchema } from "../../../protobuf/generated/envoy/config/route/v3/route_pb.js";
import { VirtualHostSchema } from "../../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { resource } from "../resources.ts";
import { type EncodedResource, encode } from "./encoded.ts";
import { ownerOf } from "./owner.ts";
import type { Snapshot } from "./snapshot.ts";

/** Snapshots with virtual hosts inside of their route configurations, for clients of a protocol that has no VHDS. */
export class Inlining {
  #made: ReadonlyMap<string, Made> = new Map();

  /** What is made of the same parts as the last time keeps its object. */
  inlined(snapshot: Snapshot): Snapshot {
    const hosts = new Map<string, EncodedResource[]>();
    for (const host of snapshot["virtual-host"].values()) {
      const owner = ownerOf(host.name);
      const siblings = hosts.get(owner);
      if (siblings === undefined) hosts.set(owner, [host]);
      else siblings.push(host);
    }
    const made: Map<string, Made> = new Map();
    for (const [name, routes] of snapshot["route-configuration"]) {
      const parts = [routes, ...(hosts.get(name) ?? [])];
      const before = this.#made.get(name);
      const isSame =
        before?.parts.length === parts.length && parts.every((part, i) => part === before.parts[i]);
      made.set(name, isSame ? before : { parts, whole: whole(parts) });
    }
    this.#made = made;
    return {
      ...snapshot,
      "route-configuration": new Map([...made].map(([name, { whole }]) => [name, whole])),
      "virtual-host": new Map(),
    };
  }
}

interface Made {
  readonly parts: readonly EncodedResource[];
  readonly whole: EncodedResource;
}

function whole([routes, ...hosts]: readonly EncodedResource[]): EncodedResource {
  const { name, bytes } = routes as EncodedResource;
  const message = fromBinary(RouteConfigurationSchema, bytes);
  delete message.vhds;
  message.virtualHosts = hosts.map((host) => fromBinary(VirtualHostSchema, host.bytes));
  const from = [...new Set([routes as EncodedResource, ...hosts].flatMap((part) => part.from))].sort();
  return encode(resource("route-configuration", name, message, from));
}
