import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { describe, it } from "node:test";
import fc from "../../support/fast-check.ts";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import { parsePem } from "../../../src/x509/pem.ts";
import { certificates } from "../../support/certificates.ts";

function blocksOf(text: string): { label: string; text: string; encrypted: boolean }[] {
  const parsed = parsePem(text);
  assert.ok(parsed.ok, parsed.ok ? "" : parsed.reason);
  return [...parsed.blocks];
}

function reasonOf(text: string): string {
  const parsed = parsePem(text);
  assert.ok(!parsed.ok, "accepted");
  return parsed.reason;
}

/** PEM that is right by form; what is inside is not looked at here. */
const wellFormed = "-----BEGIN THING-----\nAAAA\n-----END THING-----\n";

describe("PEM", () => {
  it("reads what stands around and how lines end as they come", async () => {
    const { client } = await certificates();
    const text = `\uFEFFsubject=CN = gateway\r\n${client.certificate.replaceAll("\n", "\r\n")}\nand\n${client.privateKey}`;
    assert.deepEqual(
      blocksOf(text.replace("subject", "# subject")).map(({ label }) => label),
      ["CERTIFICATE", "PRIVATE KEY"],
    );
    const first = blocksOf(`\uFEFF${client.certificate}`)[0];
    assert.equal(first?.text, client.certificate);
  });

  it("wraps a block anew, so that what is passed on is what was checked", async () => {
    const { client } = await certificates();
    const oneLine = client.privateKey.replace(/([A-Za-z0-9+/=]{64})\n(?!-)/g, "$1");
    const [block] = blocksOf(oneLine);
    assert.equal(block?.text, client.privateKey);
    assert.ok(createPrivateKey(block?.text ?? ""));
    const gaps = client.certificate.replace("\n", "\n\n").replaceAll("\n-----END", "  \n\n-----END");
    assert.ok(parseCertificate(blocksOf(gaps)[0]?.text ?? "") !== null);
  });

  it("tells encrypted keys of the old form", () => {
    const [block] = blocksOf(
      "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    assert.equal(block?.encrypted, true);
    assert.equal(blocksOf(wellFormed)[0]?.encrypted, false);
  });

  for (const [what, text, reason] of [
    ["no end", "-----BEGIN THING-----\nAAAA\n", /no end/],
    ["no beginning", "AAAA\n-----END THING-----\n", /without a beginning/],
    ["another end", "-----BEGIN THING-----\nAAAA\n-----END OTHER-----\n", /does not match/],
    ["a block in a block", `-----BEGIN THING-----\nAAAA\n${wellFormed}`, /inside another/],
    ["garbage", "-----BEGIN THING-----\nAA!A\n-----END THING-----\n", /not base64/],
    ["half a group", "-----BEGIN THING-----\nAAAAA\n-----END THING-----\n", /not base64/],
    ["padding inside", "-----BEGIN THING-----\nAA==AAAA\n-----END THING-----\n", /not base64/],
    ["nothing", "-----BEGIN THING-----\n-----END THING-----\n", /not base64/],
    ["a header after the start", "-----BEGIN THING-----\nAAAA\nName: x\n-----END THING-----\n", /not base64/],
    ["files joined without a newline", wellFormed.trimEnd() + wellFormed, /line 3: .* another ends/],
    ["too much", "x".repeat(1024 * 1024 + 1), /longer than/],
  ] as const) {
    it(`refuses ${what}, and never quotes it`, () => {
      assert.match(reasonOf(text), reason);
      assert.ok(!reasonOf(text).includes("AA"), "may be a key");
    });
  }

  it("never throws, and every block it gives can be read again", async () => {
    const { client } = await certificates();
    const line = fc.oneof(
      fc.constantFrom(
        "-----BEGIN CERTIFICATE-----",
        "-----END CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "Proc-Type: 4,ENCRYPTED",
        "AAAA",
        "AA==",
        "",
        ...client.certificate.split("\n"),
      ),
      fc.string(),
    );
    const lines = fc.array(line, { maxLength: 40 });
    fc.assert(
      fc.property(lines, fc.constantFrom("\n", "\r\n", "\r"), (some, end) => {
        const parsed = parsePem(some.join(end));
        if (!parsed.ok) return;
        assert.deepEqual(blocksOf(parsed.blocks.map(({ text }) => text).join("")), parsed.blocks);
      }),
      { numRuns: 500 },
    );
  });
});
