import { FractionalPercent_DenominatorType } from "../../protobuf/generated/envoy/type/v3/percent_pb.js";

/** A part of 1, to a millionth. */
export function fraction(part: number): {
  readonly numerator: number;
  readonly denominator: FractionalPercent_DenominatorType;
} {
  return {
    numerator: Math.min(1_000_000, Math.max(0, Math.round(part * 1_000_000))),
    denominator: FractionalPercent_DenominatorType.MILLION,
  };
}
