import { readFileSync } from "node:fs";

/** A line of the table in docs/verification.md. */
export interface VerificationLine {
  readonly check: string;
  readonly fault: string;
  /** What the node engine's OpenSSL does by itself. */
  readonly node: string;
  readonly envoy: string;
  readonly test: string;
}

export function verificationLines(): VerificationLine[] {
  return rowsOf("What is checked").map(([check = "", , fault = "", node = "", envoy = "", test = ""]) => ({
    check,
    fault: fault.replaceAll("`", ""),
    node,
    envoy,
    test,
  }));
}

/** The tests that the table about OCSP staples names, line by line. */
export function stapleTests(): string[][] {
  return rowsOf("OCSP staples").map(([, , , tests = ""]) => tests.split("; "));
}

function rowsOf(heading: string): string[][] {
  const page = readFileSync(new URL("../../docs/verification.md", import.meta.url), "utf8");
  const [, section = ""] = new RegExp(`^## ${heading}$(.*?)(?:^## |(?![^]))`, "ms").exec(page) ?? [];
  return [...section.matchAll(/^\| (.+) \|$/gm)]
    .slice(2)
    .map(([, row]) => (row as string).split(" | ").map((cell) => cell.trim()));
}
