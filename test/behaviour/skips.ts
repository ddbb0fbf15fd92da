import type { EngineName } from "../../src/model/capabilities.ts";

/** Tests that one engine does not pass on purpose. docs/engines.md has this list, and a test compares. */
export interface Skip {
  readonly engine: EngineName;
  /** Name of the test file, without `.test.ts`. */
  readonly file: string;
  /** Parts of the names of tests, each with the names of the blocks around it (` > `). */
  readonly tests: readonly string[];
  /** What they have in common. */
  readonly group: SkipGroup;
  readonly reason: string;
}

export const SKIP_GROUPS = {
  "lenient parsing":
    "Envoy reads HTTP/1.1 more leniently than RFC 9112 allows, and has no option to be stricter.",
} as const;

export type SkipGroup = keyof typeof SKIP_GROUPS;

export const SKIPS: readonly Skip[] = [
  {
    engine: "envoy",
    file: "behaviour",
    group: "lenient parsing",
    tests: [
      "a folded line",
      "a bare CR in a value",
      "a bare CR that hides a field",
      "a bare LF between fields",
    ],
    reason: "accepted: a fold and a bare CR in a value become blanks, a bare LF ends a line",
  },
];
