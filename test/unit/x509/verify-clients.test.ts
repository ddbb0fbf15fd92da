import assert from "node:assert/strict";
import { test } from "node:test";
import { readRevocationLists } from "../../../src/x509/revocation.ts";
import { verifyPeer } from "../../../src/x509/verify.ts";
import { type FlawedPeer, flawedPeers } from "../../support/flawed-peers.ts";
import { issue, issueCa, PURPOSES } from "../../support/issuing.ts";

const { sound, flawed } = flawedPeers();

/** As a client that the flaw is held against; "accepted" where it has none. */
function asClient({ chain, anchors, lists, rules }: Omit<FlawedPeer, "fault">): string {
  const [leaf, ...sent] = chain.map(({ certificate }) => certificate);
  assert.ok(leaf);
  const read = readRevocationLists(lists ?? []);
  assert.ok(read.ok);
  const expected = {
    usage: "client" as const,
    anchors: anchors.map(({ certificate }) => certificate),
    ...rules,
    ...(lists === undefined ? {} : { revocation: { lists: read.lists, policy: "require" as const } }),
  };
  const verdict = verifyPeer(leaf, sent, expected, Date.now());
  return verdict.ok ? "accepted" : verdict.fault;
}

test("a client is refused for what a server is, but for the name that was dialled and for being no server", () => {
  assert.equal(asClient(sound), "accepted");
  for (const peer of flawed) {
    const isNamed = peer.fault === "name_mismatch" && peer.rules?.identities === undefined;
    const isClient = ["for servers", "meant for them", "Netscape"].some((part) => peer.check.includes(part));
    assert.equal(asClient(peer), isNamed || isClient ? "accepted" : peer.fault, peer.check);
  }
});

test("a server's certificate is none of a client, and a CA for servers issues none", () => {
  const root = issueCa({ subject: "root" });
  const forServers = issueCa({ subject: "for servers", by: root, extendedKeyUsage: [PURPOSES.server] });
  const server = { extendedKeyUsage: [PURPOSES.server] };
  assert.equal(
    asClient({ check: "", chain: [issue({ by: root, ...server })], anchors: [root] }),
    "purpose_wrong",
  );
  assert.equal(
    asClient({ check: "", chain: [issue({ by: forServers }), forServers], anchors: [root] }),
    "purpose_wrong",
  );
});
