import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { flawedPeers } from "../support/flawed-peers.ts";
import { stapleTests, verificationLines } from "../support/verification-doc.ts";
import { sourceFiles } from "./source-files.ts";

const LINES = verificationLines();

test("docs/verification.md has a line for every flawed peer, in the same order, and no other", () => {
  assert.deepEqual(
    LINES.map(({ check, fault }) => ({ check, fault })),
    flawedPeers().flawed.map(({ check, fault }) => ({ check, fault })),
  );
});

test("every fault that a certificate can have is found by a line of docs/verification.md", () => {
  const faults = sourceFiles().find(({ path }) => path === "x509/faults.ts")?.text ?? "";
  const declared = [...faults.matchAll(/^ {2}\| "(\w+)"/gm)].map(([, fault]) => fault as string);
  assert.ok(declared.length > 15);
  assert.deepEqual([...new Set(LINES.map(({ fault }) => fault))].sort(), declared.sort());
});

test("every line of docs/verification.md names a test that there is", () => {
  const tests = ["verify-path", "verify-names", "verify-revocation", "trust-domains"].flatMap((part) => {
    const url = new URL(`../unit/x509/${part}.test.ts`, import.meta.url);
    return [...readFileSync(url, "utf8").matchAll(/^test\("([^"]+)"/gm)].map(([, name]) => name as string);
  });
  const named = new Set(LINES.map((line) => line.test));
  assert.deepEqual(
    [...named].filter((name) => !tests.includes(name)),
    [],
  );
});

test("every line of docs/verification.md about OCSP staples names tests that there are", () => {
  const url = new URL("../unit/credentials/staple.test.ts", import.meta.url);
  const text = readFileSync(url, "utf8");
  const lines = stapleTests();
  assert.ok(lines.length >= 8);
  assert.deepEqual(
    lines.flat().filter((name) => !text.includes(name)),
    [],
  );
});
