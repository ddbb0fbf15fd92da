import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Mirror } from "../../model/route.ts";
import { HeaderValueOption_HeaderAppendAction } from "../../protobuf/generated/envoy/config/core/v3/base_pb.js";
import type { RouteAction_RequestMirrorPolicySchema } from "../../protobuf/generated/envoy/config/route/v3/route_components_pb.js";
import { fraction } from "./fraction.ts";
import { formatOf } from "./header-changes.ts";

/**
 * Copies go as the request does, with `-shadow` at their host. What Linkerd routes by is the copy's own, or the request
 * itself would come twice to whom it was for. A mirror that fails is nobody's loss.
 */
export function envoyMirror(
  mirror: Mirror | undefined,
): MessageInitShape<typeof RouteAction_RequestMirrorPolicySchema>[] {
  if (mirror === undefined || mirror.action.kind === "fail") return [];
  const { cluster, requestHeaders } = mirror.action;
  const own = (requestHeaders?.add ?? []).filter(({ name }) => name === LINKERD);
  return [
    {
      cluster,
      runtimeFraction: { defaultValue: fraction(mirror.percent / 100) },
      requestHeadersMutations: [
        { action: { case: "remove", value: LINKERD } },
        ...own.map(({ name, value }) => ({
          action: {
            case: "append" as const,
            value: {
              header: { key: name, value: formatOf(value) },
              appendAction: HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
            },
          },
        })),
      ],
    },
  ];
}

const LINKERD = "l5d-dst-override";
