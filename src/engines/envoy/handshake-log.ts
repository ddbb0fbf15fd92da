import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import type { HandshakeRecord } from "../../diagnostics/failure.ts";
import { pack } from "../../protobuf/any.ts";
import type { AccessLogSchema } from "../../protobuf/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import type {
  AccessLogCommon,
  TCPAccessLogEntry,
} from "../../protobuf/generated/envoy/data/accesslog/v3/accesslog_pb.js";
import { TcpGrpcAccessLogConfigSchema } from "../../protobuf/generated/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import { addressText, logStream } from "./failure-log.ts";
import { CHAINS } from "./filter-chains.ts";
import { handshakeOf } from "./handshake-words.ts";
import { expressionFilter } from "./local-replies.ts";
import type { TranslationContext } from "./translation-context.ts";

type AccessLog = MessageInitShape<typeof AccessLogSchema>;

/**
 * A listener's log of the connections that came to no request or stream for their handshake: Envoy's words about its TLS, or the
 * chain that refused them. The log's name says which. It is the same whatever hosts there are: a listener that differs in more than
 * its chains would be replaced, and its connections ended.
 */
export function handshakeLogs(listener: string, { ownCluster }: TranslationContext): AccessLog[] {
  if (ownCluster === undefined) return [];
  const log = (name: string, expression: string): AccessLog => ({
    name: "envoy.access_loggers.tcp_grpc",
    filter: expressionFilter(expression),
    configType: {
      case: "typedConfig",
      value: pack(
        TcpGrpcAccessLogConfigSchema,
        create(TcpGrpcAccessLogConfigSchema, {
          commonConfig: logStream(ownCluster, name, [
            { tag: LISTENER, type: { case: "literal", value: { value: listener } } },
          ]),
        }),
      ),
    },
  });
  return [
    log(HANDSHAKES, "connection.transport_failure_reason != ''"),
    ...Object.entries(BY_CHAIN).map(([reason, expression]) => log(`${HANDSHAKES} ${reason}`, expression)),
  ];
}

/** By the names that filter-chains.ts gives to those that refuse. */
const BY_CHAIN = {
  sni_unknown: `xds.filter_chain_name == '${CHAINS.unknown}' || xds.filter_chain_name.startsWith('${CHAINS.cleartext} ')`,
  credential_unavailable: `xds.filter_chain_name.startsWith('${CHAINS.refused} ')`,
  plaintext_peer: `xds.filter_chain_name == '${CHAINS.plaintext}'`,
} as const satisfies Partial<Record<HandshakeReason, string>>;

export function isHandshakeLog(name: string): boolean {
  return name === HANDSHAKES || name.startsWith(`${HANDSHAKES} `);
}

/** Null: nothing that is told of. */
export function handshakeFailure(
  logName: string,
  { commonProperties: common }: TCPAccessLogEntry,
): HandshakeRecord | null {
  if (common === undefined) return null;
  const words = common.downstreamTransportFailureReason;
  const refusedBy = logName.slice(HANDSHAKES.length + 1) as HandshakeReason | "";
  return {
    time: timeOf(common),
    listener: common.customTags[LISTENER] ?? "",
    serverName: common.tlsProperties?.tlsSniHostname.toLowerCase() || null,
    client: addressText(common.downstreamRemoteAddress)?.replace(/:\d+$/, "") ?? "",
    reason: refusedBy === "" ? (handshakeOf(words, "downstream") ?? "handshake_failed") : refusedBy,
    cause: words === "" ? null : words.slice(0, MAX_CAUSE),
  };
}

function timeOf({ startTime }: AccessLogCommon): string {
  return new Date(startTime === undefined ? Date.now() : Number(startTime.seconds) * 1000).toISOString();
}

const HANDSHAKES = "handshakes";
const LISTENER = "listener";
const MAX_CAUSE = 500;
