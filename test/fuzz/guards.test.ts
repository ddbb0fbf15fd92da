import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "../support/fast-check.ts";
import { mayBeGuarded } from "../../src/compile/guards.ts";
import { contentOf } from "../../src/engines/node/http1/content.ts";
import type { RouteMatch } from "../../src/model/route.ts";

const RUNS = Number(process.env.CREDENCE_FUZZ_RUNS ?? 300) * 20;

const words = (...parts: string[]): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...parts), { maxLength: 5 }).map((all) => all.join(""));

/** The widest reading of a glob: `*` crosses slashes and dots. */
const matches = (glob: string, text: string): boolean =>
  new RegExp(`^${glob.replace(/[.]/g, "\\.").replaceAll("*", ".*")}$`).test(text);

it("a request that a rule covers never has a route that is taken for unguarded", () => {
  const path = words("/", "a", "b", "/a").map((rest) => `/${rest}`);
  const globPath = words("/", "a", "b", "*", "/a").map((rest) => `/${rest}`);
  const host = words("a.", "b.").map((rest) => `${rest}x`);
  const globHost = words("a.", "*", "b.").map((rest) => `${rest}x`);
  let covered = 0;
  fc.assert(
    fc.property(
      path,
      path,
      fc.oneof(globPath, fc.constant("*")),
      host,
      fc.oneof(globHost, fc.constant("*")),
      fc.constantFrom("prefix", "exact"),
      fc.constantFrom("", ":8080"),
      (prefix, rest, rulePath, name, ruleHost, kind, port) => {
        const requested = kind === "exact" ? prefix : `${prefix}${rest}`;
        const match: RouteMatch = {
          path: { kind: kind as "prefix" | "exact", value: prefix },
          host: name + port,
        };
        if (!matches(rulePath, requested) || !matches(ruleHost, name)) return;
        covered++;
        assert.ok(mayBeGuarded(match, [{ host: ruleHost, path: rulePath }]));
        assert.ok(mayBeGuarded({ path: match.path }, [{ host: ruleHost, path: rulePath }]));
      },
    ),
    { numRuns: RUNS },
  );
  assert.ok(covered > RUNS / 100, `only ${covered} requests were covered: the generator says too little`);
});

it("the content of a chunked body that is cut anywhere is a beginning of the whole", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 }),
      fc.nat(),
      fc.constantFrom("", ";x=0a"),
      (chunks, cut, extension) => {
        const framed = Buffer.concat([
          ...chunks.map((chunk) =>
            Buffer.concat([
              Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`),
              chunk,
              Buffer.from("\r\n"),
            ]),
          ),
          Buffer.from("0\r\n\r\n"),
        ]);
        const whole = Buffer.concat(chunks);
        assert.deepEqual(contentOf(framed, true), whole);
        const part = contentOf(framed.subarray(0, cut % (framed.length + 1)), true);
        assert.deepEqual(part, whole.subarray(0, part.length));
      },
    ),
    { numRuns: RUNS / 20 },
  );
});
