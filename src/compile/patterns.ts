import { RE2JS, RE2JSException } from "re2js";
import { diagnose } from "../diagnostics/catalogue.ts";
import type { Diagnostic, Effect } from "../diagnostics/diagnostic.ts";
import type { MappingResource } from "../resources/mapping.ts";
import { positionOf, subjectOf } from "../resources/resource.ts";

/** Whether a field's pattern can be used; where it cannot, says so, with `effect` if it is not that the route is closed. */
export function isPattern(
  mapping: MappingResource,
  field: string,
  pattern: string,
  maxSize: number | undefined,
  diagnostics: Diagnostic[],
  effect?: Effect,
): boolean {
  const problem = patternProblem(pattern, maxSize);
  if (problem === null) return true;
  diagnostics.push(
    diagnose("regex-invalid", {
      subject: subjectOf(mapping),
      source: positionOf(mapping, field),
      message: `${field}: ${JSON.stringify(pattern.slice(0, 80))} ${problem}`,
      ...(effect === undefined ? {} : { effect }),
    }),
  );
  return false;
}

/** 1.14's `regex_max_size`: the size of a compiled program, in instructions. */
const DEFAULT_MAX_SIZE = 200;

/**
 * What is wrong with a regular expression of RE2, or null. RE2 takes linear time, so what is left to bound is its size:
 * Module `regex_max_size`.
 */
function patternProblem(pattern: string, maxSize: number = DEFAULT_MAX_SIZE): string | null {
  if (pattern.length > MAX_CHARACTERS) return `is longer than ${MAX_CHARACTERS} characters`;
  try {
    const size = RE2JS.compile(pattern).programSize();
    return size > maxSize ? `makes a program of ${size} instructions, of which ${maxSize} are allowed` : null;
  } catch (error) {
    if (error instanceof RE2JSException) return `cannot be read: ${error.message.slice(0, 120)}`;
    return "cannot be read";
  }
}

const MAX_CHARACTERS = 4096;
