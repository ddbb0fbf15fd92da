import { STATUS_CODES } from "node:http";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FAILURE_REASONS } from "../../diagnostics/failure.ts";
import { pack } from "../../protobuf/any.ts";
import type { SubstitutionFormatStringSchema } from "../../protobuf/generated/envoy/config/core/v3/substitution_format_string_pb.js";
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
  ResponseMapper,
  ResponseMapperSchema,
} from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { REQUEST_CHECKS } from "./request-checks.ts";

type Mapper = Exclude<MessageInitShape<typeof ResponseMapperSchema>, ResponseMapper>;
type BodyFormat = MessageInitShape<typeof SubstitutionFormatStringSchema>;
type Filter = MessageInitShape<typeof AccessLogFilterSchema>;

/** Opaque, in the response and in the record of the failure: what a client can tell the operator. */
export const FAILURE_ID = "x-credence-failure-id";

/** The one place where a failure becomes a response: the client learns the status and an opaque id, the operator the rest. */
export function localReplies(): MessageInitShape<typeof LocalReplyConfigSchema> {
  const statuses = new Set<number>([...Object.values(FAILURE_REASONS), ...FURTHER]);
  // The first that matches decides.
  return {
    mappers: [
      // Said by services that were asked, or by scripts: theirs to word.
      { filter: expressionFilter(`response.code_details in [${OTHERS_WORDS.map(quoted).join(", ")}]`) },
      // Envoy would answer with another status.
      ...OTHER_STATUSES.map(
        ([expression, status]): Mapper => ({
          ...mapper(status, ownBody(status)),
          filter: expressionFilter(expression),
          statusCode: status,
        }),
      ),
      ...[...statuses].sort((a, b) => a - b).map((status) => mapper(status, ownBody(status))),
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

/** Takes responses whose status compares so. */
export function statusFilter(op: Op, status: number): Filter {
  return {
    filterSpecifier: {
      case: "statusCodeFilter",
      value: { comparison: { op, value: { defaultValue: status, runtimeKey: "credence.none" } } },
    },
  };
}

/** Envoy's response details. */
const OTHERS_WORDS = [
  "ext_authz_denied",
  "health_check_failed",
  "health_check_ok",
  "lua_response",
  "request_rate_limited",
];

const OTHER_STATUSES: readonly (readonly [expression: string, status: number])[] = [
  ...[...new Set(REQUEST_CHECKS.map(({ reason }) => FAILURE_REASONS[reason]))].sort().map((status) => {
    const details = REQUEST_CHECKS.filter(({ reason }) => FAILURE_REASONS[reason] === status).map(
      ({ policy }) => quoted(`rbac_access_denied_matched_policy[${policy}]`),
    );
    return [`response.code_details in [${details.join(", ")}]`, status] as const;
  }),
  // RFC 9112 §6.1 lets 501 be said; which reader the other bytes are for is no less unknown.
  ["response.code_details == 'http1.invalid_transfer_encoding'", 400],
];

function quoted(text: string): string {
  return `'${text}'`;
}

/** Statuses of Envoy's own that are no failure reason's. */
const FURTHER = [401, 405, 411, 414, 429, 500];

function mapper(status: number, body: BodyFormat): Mapper {
  return {
    filter: statusFilter(Op.EQ, status),
    headersToAdd: [
      set(FAILURE_ID, "%UNIQUE_ID%"),
      set("cache-control", "no-store"),
      // RFC 9110 §15.5.22 wants the protocol to move to named.
    ],
    bodyFormatOverride: body,
  };
}

function set(key: string, value: string): MessageInitShape<typeof HeaderValueOptionSchema> {
  return { header: { key, value }, appendAction: Append.OVERWRITE_IF_EXISTS_OR_ADD };
}

function ownBody(status: number): BodyFormat {
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
