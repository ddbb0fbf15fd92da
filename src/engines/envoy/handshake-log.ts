import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HandshakeReason } from "../../diagnostics/handshake.ts";
import type { HandshakeRecord } from "../../diagnostics/failure.ts";
import type { HttpSettings } from "../../model/http.ts";
import { pack } from "../../protobuf/any.ts";
import type { AccessLogSchema } from "../../protobuf/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import {
  type TCPAccessLogEntry,
  type TLSProperties,
  TLSProperties_TLSVersion as TlsVersion,
} from "../../protobuf/generated/envoy/data/accesslog/v3/accesslog_pb.js";
import { TcpGrpcAccessLogConfigSchema } from "../../protobuf/generated/envoy/extensions/access_loggers/grpc/v3/als_pb.js";
import { handshakeLine, standardOutput } from "./access-log.ts";
import { DEFAULT_BOUNDS } from "./bounds.ts";
import { hostText, logStream, timeText } from "./failure-log.ts";
import { CHAINS } from "./filter-chains.ts";
import { handshakeOf } from "./handshake-words.ts";
import { expressionFilter } from "./local-replies.ts";
import type { TranslationContext } from "./translation-context.ts";

type AccessLog = MessageInitShape<typeof AccessLogSchema>;
type Filter = ReturnType<typeof expressionFilter>;

/**
 * A listener's log of the connections that came to no request or stream for their handshake: Envoy's words about its TLS, or the
 * chain that refused them. The log's name says which. It is the same whatever hosts there are: a listener that differs in more than
 * its chains would be replaced, and its connections ended.
 */
export function handshakeLogs(
  listener: string,
  { proxyProtocol }: Pick<HttpSettings, "proxyProtocol">,
  context: TranslationContext,
): AccessLog[] {
  const { ownCluster, handshakeLines, bounds = DEFAULT_BOUNDS } = context;
  const failures: readonly (readonly [reason: HandshakeReason | null, expression: string])[] = [
    [
      null,
      `connection.transport_failure_reason != '' && !(xds.filter_chain_name in ['${WITHOUT_TLS.join("', '")}'])`,
    ],
    ...BY_CHAIN,
    ...withoutWords(bounds.handshakeTimeoutMs, proxyProtocol === true),
  ];
  return failures.flatMap(([reason, expression]) => {
    const filter = expressionFilter(expression);
    const name = reason === null ? HANDSHAKES : `${HANDSHAKES} ${reason}`;
    return [
      ...(ownCluster === undefined ? [] : [toCredence(ownCluster, name, listener, filter)]),
      ...(handshakeLines === true ? [standardOutput(handshakeLine(listener, reason), { filter })] : []),
    ];
  });
}

function toCredence(ownCluster: string, name: string, listener: string, filter: Filter): AccessLog {
  const config = create(TcpGrpcAccessLogConfigSchema, {
    commonConfig: logStream(ownCluster, name, [
      { tag: LISTENER, type: { case: "literal", value: { value: listener } } },
    ]),
  });
  return {
    name: "envoy.access_loggers.tcp_grpc",
    filter,
    configType: { case: "typedConfig", value: pack(TcpGrpcAccessLogConfigSchema, config) },
  };
}

/** Where there is no handshake to fail: the words are of who looked for a ClientHello. */
const WITHOUT_TLS = [CHAINS.plaintext, CHAINS.rest];

/** By the names that filter-chains.ts gives to those that refuse. */
const BY_CHAIN: readonly (readonly [HandshakeReason, string])[] = [
  [
    "sni_unknown",
    `xds.filter_chain_name == '${CHAINS.unknown}' || xds.filter_chain_name.startsWith('${CHAINS.cleartext} ')`,
  ],
  ["credential_unavailable", `xds.filter_chain_name.startsWith('${CHAINS.refused} ')`],
  ["plaintext_peer", `xds.filter_chain_name == '${CHAINS.plaintext}'`],
];

/**
 * What Envoy has no words for: that a hello, or a handshake, did not come to its end in time, and that its client left before the hello
 * was whole. A connection that waits for its PROXY header looks the same, so there only the handshake itself is told of.
 */
function withoutWords(timeoutMs: number, readsProxyHeader: boolean): [HandshakeReason, string][] {
  const late = "connection.termination_details == 'transport socket timeout was reached'";
  if (readsProxyHeader) return [["handshake_timeout", late]];
  const noChain = "xds.filter_chain_name == '' && !has(connection.transport_failure_reason)";
  // Envoy's timers are a few milliseconds early.
  const bound = `duration('${Math.round(timeoutMs * 0.98)}ms')`;
  return [
    ["handshake_timeout", `${late} || (${noChain} && request.duration >= ${bound})`],
    ["handshake_closed", `${noChain} && request.duration < ${bound}`],
  ];
}

/** Whether a log of that name is one of handshakes. */
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
    id: randomUUID(),
    time: timeText(common.startTime),
    listener: common.customTags[LISTENER] ?? "",
    serverName: common.tlsProperties?.tlsSniHostname.toLowerCase() || null,
    client: hostText(common.downstreamRemoteAddress),
    tlsVersion: agreedVersion(common.tlsProperties),
    reason: refusedBy === "" ? (handshakeOf(words, "downstream") ?? "handshake_failed") : refusedBy,
    cause: words === "" ? null : words.slice(0, MAX_CAUSE),
  };
}

/** Envoy names one as well where none was agreed upon, but then no cipher suite. */
function agreedVersion(tls: TLSProperties | undefined): string | null {
  if (tls === undefined || (tls.tlsCipherSuite ?? NO_SUITE) === NO_SUITE) return null;
  return VERSIONS[tls.tlsVersion];
}

const NO_SUITE = 0xffff;
const VERSIONS = {
  [TlsVersion.VERSION_UNSPECIFIED]: null,
  [TlsVersion.TLSv1]: "TLSv1",
  [TlsVersion.TLSv1_1]: "TLSv1.1",
  [TlsVersion.TLSv1_2]: "TLSv1.2",
  [TlsVersion.TLSv1_3]: "TLSv1.3",
} as const;
const HANDSHAKES = "handshakes";
const LISTENER = "listener";
const MAX_CAUSE = 500;
