import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { FailureReason } from "../../diagnostics/failure.ts";
import { pack } from "../../protobuf/any.ts";
import { type PolicySchema, RBAC_Action } from "../../protobuf/generated/envoy/config/rbac/v3/rbac_pb.js";
import { RBACSchema } from "../../protobuf/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { HttpFilterSchema } from "../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

/**
 * What the other engine's parser refuses and Envoy's lets pass, as far as it still shows in the parsed request. Envoy knows
 * no filter that refuses with a status of one's choice: this one answers 403, and local-replies.ts makes of it what is due,
 * by the policy's name. The rest is listed in docs/engines.md as lenient parsing by Envoy.
 */
export function requestChecks(): MessageInitShape<typeof HttpFilterSchema> {
  const policies = Object.fromEntries(REQUEST_CHECKS.map(({ policy, permission }) => [policy, permission]));
  const config = create(RBACSchema, { rules: { action: RBAC_Action.DENY, policies } });
  return {
    name: "envoy.filters.http.rbac",
    configType: { case: "typedConfig", value: pack(RBACSchema, config) },
  };
}

export interface RequestCheck {
  /** In Envoy's response details, and in the order of names that a map has. */
  readonly policy: string;
  readonly reason: FailureReason;
  readonly cause: string;
  readonly permission: MessageInitShape<typeof PolicySchema>;
}

/**
 * uri-host [ ":" port ] of RFC 9110 §7.2, in any case: a reg-name as DNS and Kubernetes use it, or an address. A final dot is
 * taken away before (`stripTrailingHostDot`), so one that is there is a second: `a.example..` would be held to no policy of
 * `a.example` and go on as its name. Two Host fields come as one with a comma in it.
 */
export const AUTHORITY = "(?i)(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?|\\[[0-9a-f:.]+\\])(?::[0-9]{1,5})?";
/** Every `%` begins an escape (RFC 3986 §2.1); the query is not looked at. */
const WHOLE_ESCAPES = "(?:[^%?]|%[0-9A-Fa-f]{2})*(?:\\?.*)?";

/** In the order of their names. */
export const REQUEST_CHECKS: readonly RequestCheck[] = [
  {
    policy: "credence-connect",
    reason: "method_not_supported",
    cause: "CONNECT",
    permission: whose(header(":method", "CONNECT")),
  },
  {
    policy: "credence-expect",
    reason: "expectation_failed",
    cause: "unknown Expect",
    permission: whose(header("expect", ".+"), not(header("expect", "(?i)100-continue"))),
  },
  {
    policy: "credence-host",
    reason: "bad_request",
    cause: "malformed Host",
    permission: whose(not(header(":authority", AUTHORITY))),
  },
  {
    policy: "credence-path-escape",
    reason: "bad_request",
    cause: "malformed percent-encoding in the path",
    permission: whose(not(header(":path", WHOLE_ESCAPES))),
  },
  {
    policy: "credence-path-nul",
    reason: "bad_request",
    cause: "encoded NUL in the path",
    permission: whose(header(":path", "[^?]*%00.*")),
  },
];

type Rule = NonNullable<MessageInitShape<typeof PolicySchema>["permissions"]>[number];

/** All rules hold, whoever asks. */
function whose(...rules: Rule[]): MessageInitShape<typeof PolicySchema> {
  return {
    permissions: [{ rule: { case: "andRules", value: { rules } } }] as never,
    principals: [{ identifier: { case: "any", value: true } }],
  };
}

function not(rule: Rule): Rule {
  return { rule: { case: "notRule", value: rule } } as Rule;
}

/** The whole value matches. */
function header(name: string, regex: string): Rule {
  return {
    rule: {
      case: "header",
      value: {
        name,
        headerMatchSpecifier: {
          case: "stringMatch",
          value: { matchPattern: { case: "safeRegex", value: { regex } } },
        },
      },
    },
  } as Rule;
}
