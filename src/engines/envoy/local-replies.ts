import { STATUS_CODES } from "node:http";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FAILURE_REASONS } from "../../diagnostics/failure.ts";
import type { GatewayModel } from "../../model/gateway.ts";
import { pack } from "../../protobuf/any.ts";
import {
  type AccessLogFilterSchema,
  ComparisonFilter_Op as Op,
} from "../../protobuf/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOptionSchema,
} from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import { ExpressionFilterSchema } from "../../protobuf/generated/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import type {
  LocalReplyConfigSchema,
  ResponseMapperSchema,
} from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { SubstitutionFormatStringSchema } from "../../protobuf/generated/envoy/config/core/v3/substitution_format_string_pb.js";

type Mapper = MessageInitShape<typeof ResponseMapperSchema>;
type Filter = MessageInitShape<typeof AccessLogFilterSchema>;

/** Opaque, in the response and in the record of the failure: what a client can tell the operator. */
export const FAILURE_ID = "x-credence-failure-id";

/** The one place where a failure becomes a response: the client learns the status and an opaque id, the operator the rest. */
export function localReplies(model: GatewayModel): MessageInitShape<typeof LocalReplyConfigSchema> {
  const own = new Map((model.http.errorResponses ?? []).map((response) => [response.status, response]));
  const statuses = new Set<number>([...Object.values(FAILURE_REASONS), ...FURTHER, ...own.keys()]);
  return {
    mappers: [
      // Said by services that were asked, or by scripts: theirs to word. The first that matches decides.
      { filter: expressionFilter(OTHERS_WORDS) },
      ...[...statuses].sort((a, b) => a - b).map((status) => mapper(status)),
    ],
  };
}

/** An access-log filter by an expression over Envoy's attributes; slower than its other filters. */
export function expressionFilter(expression: string): Filter {
  return {
    filterSpecifier: {
      case: "extensionFilter",
      value: {
        name: "envoy.access_loggers.extension_filters.cel",
        configType: {
          case: "typedConfig",
          value: pack(ExpressionFilterSchema, create(ExpressionFilterSchema, { expression })),
        },
      },
    },
  };
}

export function statusFilter(op: Op, status: number): Filter {
  return {
    filterSpecifier: {
      case: "statusCodeFilter",
      value: { comparison: { op, value: { defaultValue: status, runtimeKey: "credence.none" } } },
    },
  };
}

const OTHERS_WORDS =
  "response.code_details in ['ext_authz_denied', 'lua_response', 'request_rate_limited', 'health_check_ok', 'health_check_failed']";

/** Statuses of Envoy's own that are no failure reason's. */
const FURTHER = [401, 405, 411, 414, 429, 500];

function mapper(status: number): Mapper {
  return {
    filter: statusFilter(Op.EQ, status),
    headersToAdd: [
      set(FAILURE_ID, "%UNIQUE_ID%"),
      set("cache-control", "no-store"),
      // RFC 9110 §15.5.22 wants the protocol to move to named.
      ...(status === 426 ? [set("upgrade", "HTTP/1.1"), set("connection", "upgrade, close")] : []),
    ],
    bodyFormatOverride: ownBody(status),
  };
}

function set(key: string, value: string): MessageInitShape<typeof HeaderValueOptionSchema> {
  return { header: { key, value }, appendAction: Append.OVERWRITE_IF_EXISTS_OR_ADD };
}

function ownBody(status: number): MessageInitShape<typeof SubstitutionFormatStringSchema> {
  const text = STATUS_CODES[status] ?? "Client Closed Request";
  return {
    format: {
      case: "textFormatSource",
      value: {
        specifier: {
          case: "inlineString",
          value: `{"status":${status},"message":"${text}","id":"%RESP(${FAILURE_ID})%"}\n`,
        },
      },
    },
    contentType: "application/json",
  };
}
