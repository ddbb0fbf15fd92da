import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../../support/fast-check.ts";
import { drawn } from "../../../../src/engines/envoy/authorization-draw.ts";

const ids = Array.from(
  { length: 256 },
  (_, first) => `${first.toString(16).padStart(2, "0")}345678-9abc-4def-8000-0`,
);

/** As Envoy reads the matcher. */
function isEnabled(matcher: ReturnType<typeof drawn>, id: string): boolean {
  const { value, invert = false } = matcher as { value: never; invert?: boolean };
  const { regex } = (value as { matchPattern: { value: { matchPattern: { value: { regex: string } } } } })
    .matchPattern.value.matchPattern.value;
  return new RegExp(`^(?:${regex})$`).test(id) !== invert;
}

test("every request is asked about by exactly one service, whatever its id is, and by weight", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 2, maxLength: 5 }), (weights) => {
      const services = weights.map((weight, index) => ({ name: `a${index}`, cluster: `c${index}`, weight }));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const matchers = services.map((service) => drawn(services, service));
      for (const id of [...ids, "", "x", "zz-no-hex"])
        assert.equal(matchers.filter((matcher) => isEnabled(matcher, id)).length, 1, id);
      for (const [index, matcher] of matchers.entries()) {
        const share = ids.filter((id) => isEnabled(matcher, id)).length / 256;
        assert.ok(Math.abs(share - (weights[index] as number) / total) <= 1 / 256);
      }
    }),
  );
});
