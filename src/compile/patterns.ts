import { RE2JS, RE2JSException } from "re2js";

/** 1.14's `regex_max_size`: the size of a compiled program, in instructions. */
const DEFAULT_MAX_SIZE = 200;

/**
 * What is wrong with a regular expression of RE2, or null. RE2 takes linear time, so what is left to bound is its size:
 * Module `regex_max_size`.
 */
export function patternProblem(pattern: string, maxSize: number = DEFAULT_MAX_SIZE): string | null {
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
