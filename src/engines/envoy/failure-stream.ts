import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { FAILURE_REASONS, type FailureReason, type FailureRecord } from "../../diagnostics/failure.ts";
import { NodeSchema } from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import type {
  AccessLogCommon,
  HTTPAccessLogEntry,
  TCPAccessLogEntry,
} from "../../protobuf/generated/envoy/data/accesslog/v3/accesslog_pb.js";
import { AccessLogService } from "../../protobuf/generated/envoy/service/accesslog/v3/als_pb.js";
import type { FailureSink, HandshakeSink } from "../engine.ts";
import { DESTINATION_TAG, TAGS } from "./access-log.ts";
import type { Authorize } from "./ads/client.ts";
import { PEER } from "./ads/transport.ts";
import { closedBecause } from "./tcp/destination.ts";
import { type FailureCause, type FailureText, failureCause } from "./failure-reasons.ts";
import { socketAddressText, timeText } from "./failure-log.ts";
import { handshakeFailure, isHandshakeLog } from "./handshake-log.ts";
import { FAILURE_ID } from "./local-replies.ts";

/** Where what Envoys tell of goes. */
export interface FailureSinks {
  readonly failure: FailureSink;
  readonly handshake: HandshakeSink;
}

/**
 * The gRPC service (ALS) that Envoys tell of what failed, for the connections of the xDS stream. Whoever may not have a
 * group's resources may not report for it either.
 */
export function failureStream(
  authorize: Authorize,
  sinkOf: (group: string) => FailureSinks | undefined,
): (router: ConnectRouter) => void {
  return (router) => {
    router.service(AccessLogService, {
      async streamAccessLogs(messages, context) {
        let sinks: FailureSinks | undefined;
        let logName = "";
        for await (const { identifier, logEntries } of messages) {
          // It comes with the first message of a stream.
          if (identifier !== undefined) {
            const node = identifier.node ?? create(NodeSchema);
            const admission = authorize({ peer: context.values.get(PEER), node });
            if ("refused" in admission) throw new ConnectError(admission.message, Code.PermissionDenied);
            sinks = sinkOf(admission.group);
            logName = identifier.logName;
          }
          if (sinks === undefined || logEntries.case === undefined) continue;
          if (isHandshakeLog(logName)) {
            if (logEntries.case !== "tcpLogs") continue;
            for (const entry of logEntries.value.logEntry) {
              const failure = handshakeFailure(logName, entry);
              if (failure !== null) sinks.handshake(failure);
            }
            continue;
          }
          const failures =
            logEntries.case === "httpLogs"
              ? logEntries.value.logEntry.map(requestFailure)
              : logEntries.value.logEntry.map(connectionFailure);
          for (const failure of failures) if (failure !== null) sinks.failure(failure);
        }
        return {};
      },
    });
  };
}

/** Null: nothing failed that is the gateway's to tell of. */
function requestFailure(entry: HTTPAccessLogEntry): FailureRecord | null {
  const { commonProperties: common, response } = entry;
  if (common === undefined) return null;
  const { customTags } = common;
  const details = response?.responseCodeDetails ?? "";
  // A route that is a failure by itself says why.
  const said = details === "direct_response" ? customTags[TAGS.reason] : undefined;
  const found = isReason(said)
    ? { reason: said, cause: customTags[TAGS.code] ?? said }
    : details === "direct_response"
      ? null
      : failureCause({ status: response?.responseCode ?? 0, details, ...textOf(common) });
  if (found === null) return null;
  const id = response?.responseHeaders[FAILURE_ID];
  return recordOf(common, found, common.routeName || null, id);
}

/** Of a TCP listener. */
function connectionFailure({ commonProperties: common }: TCPAccessLogEntry): FailureRecord | null {
  if (common === undefined) return null;
  const found = failureCause({
    status: 0,
    details: common.connectionTerminationDetails,
    ...textOf(common),
  });
  if (found === null) return null;
  const destinations = Object.entries(common.customTags)
    .filter(([tag]) => tag.startsWith(DESTINATION_TAG))
    .map(([tag, route]) => ({ cluster: tag.slice(DESTINATION_TAG.length), route }))
    // Where no cluster was found it was one of those that there never are.
    .filter(({ cluster }) => found.reason !== "route_fails_closed" || closedBecause(cluster) !== null);
  const chosen = destinations.find(({ cluster }) => cluster === common.upstreamCluster);
  // Where there is but one it needs no cluster to be known by.
  const [only] = destinations.length === 1 ? destinations : [];
  const { cluster, route } = chosen ?? only ?? { cluster: "", route: null };
  return recordOf(common, { ...found, cause: closedBecause(cluster) ?? found.cause }, route, undefined);
}

function textOf(common: AccessLogCommon): Pick<FailureText, "flags" | "transport"> {
  return { flags: common.responseFlags, transport: common.upstreamTransportFailureReason };
}

function recordOf(
  common: AccessLogCommon,
  { reason, cause, handshake }: FailureCause,
  route: string | null,
  id: string | undefined,
): FailureRecord {
  return {
    id: id || randomUUID(),
    time: timeText(common.startTime),
    route,
    reason,
    cause: cause.slice(0, MAX_CAUSE),
    ...(handshake === undefined ? {} : { handshake }),
    upstream: socketAddressText(common.upstreamRemoteAddress),
  };
}

/** BoringSSL's errors can be a page. */
const MAX_CAUSE = 500;

function isReason(text: string | undefined): text is FailureReason {
  return text !== undefined && Object.hasOwn(FAILURE_REASONS, text);
}
