import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { positionOf, type Resource, subjectOf } from "../resources/resource.ts";

/** A Mapping, or a TCPMapping. */
type Weighted = Resource<string, { readonly weight?: number | undefined }>;

/** Design §9: the weightless share what is left of 100; weights alone are normalised; over 100 they get nothing. */
export function normaliseWeights(group: readonly Weighted[], diagnostics: Diagnostic[]): number[] {
  const weightless = group.filter(({ spec }) => spec.weight === undefined).length;
  const sum = group.reduce((total, { spec }) => total + (spec.weight ?? 0), 0);
  if (weightless === group.length) return group.map(() => 1);
  if (weightless === 0) {
    for (const mapping of sum === 0 ? group : []) {
      diagnostics.push(
        diagnose("mapping-fails-closed", {
          subject: subjectOf(mapping),
          source: positionOf(mapping, "weight"),
          message: "every weight of its group is 0, so there is nowhere to send a request",
        }),
      );
    }
    // A single one takes everything, as 1.14's documentation says; of several, a sum that is not 100 may be a slip.
    for (const mapping of sum > 100 && group.length > 1 ? group : []) {
      diagnostics.push(
        diagnose("group-member-mismatch", {
          subject: subjectOf(mapping),
          source: positionOf(mapping, "weight"),
          message: `the weights of its group are ${sum}; ${mapping.name} gets ${Math.round((100 * (mapping.spec.weight ?? 0)) / sum)} %`,
          severity: "warning",
          effect: "informational",
          remedy: "Give the weights of the group a sum of 100.",
        }),
      );
    }
    return group.map(({ spec }) => spec.weight ?? 0);
  }
  if (sum < 100)
    return group.map(({ spec }) => (spec.weight === undefined ? 100 - sum : spec.weight * weightless));
  for (const mapping of group) {
    if (mapping.spec.weight !== undefined) continue;
    const message = `the weights of its group are ${sum}, so nothing is left for ${mapping.name}`;
    diagnostics.push(
      diagnose("group-member-mismatch", {
        subject: subjectOf(mapping),
        source: mapping.raw.source,
        message,
        remedy: "Give the weights of the group a sum below 100.",
      }),
    );
  }
  return group.map(({ spec }) => spec.weight ?? 0);
}
