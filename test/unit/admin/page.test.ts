import assert from "node:assert/strict";
import { test } from "node:test";
import { renderPage } from "../../../src/admin/page.ts";
import type { Report, ReportedCredential } from "../../../src/admin/report.ts";
import { diagnose } from "../../../src/diagnostics/catalogue.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const QUERY = { errorsOnly: false, failure: null };

function page(parts: Partial<Report>): string {
  const report: Report = {
    version: 1,
    revision: 1,
    ready: true,
    notReady: null,
    diagnostics: [],
    certificates: [],
    failures: [],
    handshakes: [],
    engines: [{ name: "node", revision: 1, hash: null, listeners: [], fault: null }],
    ...parts,
  };
  return renderPage(report, QUERY, NOW);
}

function credential(name: string, usable: boolean, notAfter: string): ReportedCredential {
  const leaf = {
    subject: `CN=${name}`,
    issuer: "CN=ca",
    serial: "01",
    sha256: "00",
    keyType: "EC P-256",
    isCa: false,
    dnsNames: [],
    ipAddresses: [],
    uris: [],
    notBefore: "2025-01-01T00:00:00.000Z",
    notAfter,
  };
  const chain = [leaf as unknown as ReportedCredential["chain"][number]];
  return { name, kind: "credential", generation: 1, usable, reason: usable ? null : "gone: it is", chain };
}

test("thousands of findings are counted by code, worst first, and some of them shown", () => {
  const subject = { kind: "Mapping", namespace: "default", name: "m" };
  const warned = diagnose("field-unknown", { subject, message: "unknown" });
  const diagnostics = [
    ...Array.from({ length: 6000 }, () => warned),
    ...Array.from({ length: 3 }, () => diagnose("field-invalid", { subject, message: "invalid" })),
  ];
  const text = page({ diagnostics });
  assert.match(text, /Diagnostics \(200 of 6003\)/);
  assert.match(text, /3 × <code>field-invalid<\/code>.*6000 × <code>field-unknown<\/code>/s);
  assert.match(text, /<a href="#diagnostics">6003 findings<\/a>/);
  assert.match(text, /<section id="diagnostics">/);
  assert.equal(text.match(/<tr><td><span class="tag/g)?.length, 200);
  assert.ok(text.length < 200_000, `${text.length} characters`);
});

test("of certificates those that do not serve come first, then those that end soonest", () => {
  const certificates = [
    credential("secret/a/late", true, "2027-01-01T00:00:00.000Z"),
    credential("secret/b/soon", true, "2026-01-08T00:00:00.000Z"),
    credential("secret/c/gone", false, "2028-01-01T00:00:00.000Z"),
  ];
  const text = page({ certificates });
  const at = ["secret/c/gone", "secret/b/soon", "secret/a/late"].map((name) => text.indexOf(name));
  assert.deepEqual(
    at,
    [...at].sort((a, b) => a - b),
  );
  assert.ok(at.every((place) => place > 0));
  assert.match(text, /<a href="#certificates">1 unusable certificate<\/a>/);
});

test("what stands between backticks in a remedy is code, and is escaped", () => {
  const subject = { kind: "Mapping", namespace: "default", name: "m" };
  const found = diagnose("tls-context-missing", { subject, message: "`<b>`" });
  const text = page({ diagnostics: [found] });
  assert.match(text, /<code>tls:<\/code>/);
  assert.ok(!text.includes("<b>"));
});
