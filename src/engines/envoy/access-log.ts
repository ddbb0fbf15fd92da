import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TcpDestination } from "../../model/tcp.ts";
import type { AccessLogSchema } from "../../protobuf/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import type { TranslationContext } from "./translation-context.ts";

/** The logs of a listener's requests. */
export function httpAccessLogs(
  _listener: string,
  _context: TranslationContext,
): MessageInitShape<typeof AccessLogSchema>[] {
  return [];
}

/** The logs of a chain of a TCP listener. */
export function tcpAccessLogs(
  _listener: string,
  _destinations: readonly TcpDestination[],
  _context: TranslationContext,
): MessageInitShape<typeof AccessLogSchema>[] {
  return [];
}
