import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { createAuthority } from "../../../src/x509/authority.ts";
import { checkPath } from "../../../src/x509/path.ts";
import { parsePem } from "../../../src/x509/pem.ts";

const NOW = Date.now();
const DAY = 86_400_000;

function read(pem: string): X509Certificate[] {
  const parsed = parsePem(pem);
  assert.ok(parsed.ok);
  return parsed.blocks.map(({ text }) => new X509Certificate(text));
}

function check(chain: string, anchors: string, now = NOW) {
  const [leaf, ...rest] = read(chain);
  assert.ok(leaf);
  return checkPath(leaf, rest, read(anchors), "client", now);
}

test("a leaf chains to its root, by intermediates where they are given, and to an intermediate as anchor", async () => {
  const root = await createAuthority("root");
  const middle = await root.issueAuthority("middle");
  const { certificate } = await middle.issue({ commonName: "leaf", usage: "client" });
  const full = check(certificate, root.certificate);
  assert.ok(full.ok);
  assert.deepEqual(
    full.path.map(({ subject }) => subject),
    ["CN=leaf", "CN=middle", "CN=root"],
  );
  assert.equal(check(certificate, middle.certificate).ok, true);
  const alone = certificate.slice(0, certificate.indexOf("-----END") + 25);
  assert.deepEqual(check(alone, root.certificate), { ok: false, reason: "it chains to none of the CAs" });
});

test("strangers, wrong purposes and dates are refused with the reason", async () => {
  const [root, stranger] = await Promise.all([createAuthority("root", 30), createAuthority("root", 30)]);
  const { certificate } = await root.issue({ commonName: "leaf", usage: "client" });
  const reason = (checked: ReturnType<typeof check>): string => (checked.ok ? "" : checked.reason);
  // Another CA of the same name: the signature decides.
  assert.match(reason(check(certificate, stranger.certificate)), /none of the CAs/);
  const server = await root.issue({ commonName: "leaf", usage: "server" });
  assert.match(reason(check(server.certificate, root.certificate)), /not meant for clients/);
  assert.match(reason(check(certificate, root.certificate, NOW + 91 * DAY)), /^it expired/);
  assert.match(reason(check(certificate, root.certificate, NOW + 31 * DAY)), /^its issuer CN=root expired/);
  assert.match(reason(check(certificate, root.certificate, NOW - DAY)), /not valid before/);
});

test("who is no CA vouches for nobody but itself", async () => {
  const root = await createAuthority("root");
  const { certificate } = await root.issue({ commonName: "leaf", usage: "client" });
  assert.equal(check(certificate, certificate).ok, true);
});
