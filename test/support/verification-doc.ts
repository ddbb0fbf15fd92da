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
  const page = readFileSync(new URL("../../docs/verification.md", import.meta.url), "utf8");
  return [...page.matchAll(/^\| (.+) \|$/gm)].slice(2).map(([, row]) => {
    const [check = "", , fault = "", node = "", envoy = "", test = ""] = (row as string)
      .split(" | ")
      .map((cell) => cell.trim());
    return { check, fault: fault.replaceAll("`", ""), node, envoy, test };
  });
}
