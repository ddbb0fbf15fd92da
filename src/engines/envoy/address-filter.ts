import { isIP } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { AddressRange, HttpSettings } from "../../model/http.ts";
import { pack } from "../../protobuf/any.ts";
import { type PrincipalSchema, RBAC_Action } from "../../protobuf/generated/envoy/config/rbac/v3/rbac_pb.js";
import { RBACSchema } from "../../protobuf/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

/** Who may come in (Module `ip_allow`, `ip_deny`); none: anybody. What is refused gets 403. */
export function addressFilters({
  addresses,
  proxyProtocol,
}: HttpSettings): MessageInitShape<typeof HttpFilterSchema>[] {
  if (addresses === undefined) return [];
  const principals = addresses.ranges
    .flatMap(withMapped)
    .map((range) => principal(range, proxyProtocol === true));
  const config = create(RBACSchema, {
    rules: {
      action: addresses.action === "allow" ? RBAC_Action.ALLOW : RBAC_Action.DENY,
      // A policy must have a principal: without any range nobody is in it.
      policies: principals.length === 0 ? {} : { addresses: { permissions: [ANY], principals } },
    },
  });
  return [
    {
      name: "envoy.filters.http.rbac",
      configType: { case: "typedConfig", value: pack(RBACSchema, config) },
    },
  ];
}

const ANY = { rule: { case: "any", value: true } } as const;

/** An IPv4 address that comes as an IPv6 one (RFC 4291 §2.5.5.2) is what it is: a PROXY header may tell of it so. */
function withMapped(range: AddressRange): AddressRange[] {
  const { address, prefixLength } = range;
  if (isIP(address) !== 4) return [range];
  return [range, { ...range, address: `::ffff:${address}`, prefixLength: 96 + prefixLength }];
}

/**
 * `remote` is the client's address as trusted proxies tell it. The connection's own is `direct_remote_ip`, but where a PROXY
 * header tells it: that one is what Envoy calls `source_ip`.
 */
function principal(
  { of, address, prefixLength }: AddressRange,
  byProxyHeader: boolean,
): MessageInitShape<typeof PrincipalSchema> {
  const value = { addressPrefix: address, prefixLen: prefixLength };
  if (of === "remote") return { identifier: { case: "remoteIp", value } };
  return byProxyHeader
    ? { identifier: { case: "sourceIp", value } }
    : { identifier: { case: "directRemoteIp", value } };
}
