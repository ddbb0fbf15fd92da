import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { pack } from "../../protobuf/any.ts";
import type { FilterChainSchema } from "../../protobuf/generated/envoy/config/listener/v3/listener_components_pb.js";
import { ConfigSchema as DirectResponseSchema } from "../../protobuf/generated/envoy/extensions/filters/network/direct_response/v3/config_pb.js";

export type FilterChainInit = MessageInitShape<typeof FilterChainSchema>;

/** Names, or what names begin with, of chains that end no TLS: by them a handshake that failed is told of. */
export const CHAINS = {
  /** Names that nobody has, and no name at all. */
  unknown: "tls",
  /** A host whose TLS cannot be served. */
  refused: "refused",
  /** A host that is served in cleartext only. */
  cleartext: "cleartext",
  plaintext: "plaintext",
  /** Of a TCP listener: whatever no name is for, TLS or not. It refuses nothing. */
  rest: "rest",
} as const;

/** TLS for these domains; `*` is for what no other chain takes, and only then a client without a server name is served. */
export function tlsMatch(domains: readonly string[]): NonNullable<FilterChainInit["filterChainMatch"]> {
  const named = domains.filter((domain) => domain !== "*");
  // One chain cannot be for some names and for the rest as well: `*` is a group of its own.
  return { serverNames: named, transportProtocol: "tls" };
}

/** A chain whose metadata differs replaces the one of its name, whose connections drain. */
export function chainMetadata(credence: JsonObject): Pick<FilterChainInit, "metadata"> {
  return Object.keys(credence).length === 0 ? {} : { metadata: { filterMetadata: { credence } } };
}

/** A handshake for these domains gets an alert, in the clear as no keys are agreed on yet, and sees no certificate. */
export function refusingChain(name: string, domains: readonly string[]): FilterChainInit {
  return { name, filterChainMatch: tlsMatch(domains), filters: [answer(UNRECOGNIZED_NAME)] };
}

/** Plain text on a port for TLS. */
export function plaintextChain(): FilterChainInit {
  return {
    name: CHAINS.plaintext,
    filterChainMatch: { transportProtocol: "raw_buffer" },
    filters: [answer(Buffer.from(PLAINTEXT_ANSWER, "latin1"))],
  };
}

/** Fatal alert record (RFC 8446 §6.2): unrecognized_name. */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

const PLAINTEXT_ANSWER =
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 26\r\nconnection: close\r\n\r\nThis port speaks TLS only\n";

/** Writes bytes and closes. */
function answer(bytes: Uint8Array): NonNullable<FilterChainInit["filters"]>[number] {
  return {
    name: "envoy.filters.network.direct_response",
    configType: {
      case: "typedConfig",
      value: pack(
        DirectResponseSchema,
        create(DirectResponseSchema, { response: { specifier: { case: "inlineBytes", value: bytes } } }),
      ),
    },
  };
}
