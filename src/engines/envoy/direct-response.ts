import { FAILURE_REASONS, type FailureReason } from "../../diagnostics/failure.ts";

/** Of the metadata that routes which are failures carry: whoever reports a request learns from it what it was about. No other
 * route has any: Envoy makes all routes of a route configuration anew for one that changes, and this would be a third of it. */
export const METADATA = "credence";

/** A failure as a route: its status, and in the metadata what the operator is told. The body is the connection manager's. */
export function failureRoute(failure: { readonly reason: FailureReason; readonly code: string }): {
  readonly action: { readonly case: "directResponse"; readonly value: { readonly status: number } };
  readonly metadata: { readonly filterMetadata: { readonly [METADATA]: Record<string, string> } };
} {
  const { reason, code } = failure;
  return {
    action: { case: "directResponse", value: { status: FAILURE_REASONS[reason] } },
    metadata: { filterMetadata: { [METADATA]: { code, reason } } },
  };
}
