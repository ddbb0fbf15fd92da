import assert from "node:assert/strict";
import { test } from "node:test";
import { probeText } from "../../src/cli/probe/text.ts";
import { NAMES } from "../support/issuing.ts";
import { probePort, rawPeer, serverOf, shows, tlsPeer } from "./peers.ts";

test("nothing that a peer sends steers the terminal or turns the reading", async (t) => {
  const nasty = "a\u009b2Jb\u202ec\u001b[31md";
  const port = await tlsPeer(t, shows(serverOf({ subject: nasty, names: [NAMES.uri("http://\u009b2J")] })));
  const spoken = await rawPeer(t, (socket) => socket.write("\u001b[2J hello\r\n"));
  for (const peer of [await probePort(port), await probePort(spoken)]) {
    const text = probeText(
      { version: 1, target: "mapping/default/quote", good: false, peers: [peer] },
      false,
    );
    assert.match(text, /✗ (?:checks|hello)/);
    assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  }
});

test("colours are for terminals, and the same text is under them", async (t) => {
  const port = await tlsPeer(t, shows(serverOf()));
  const report = { version: 1, target: "x", good: true, peers: [await probePort(port)] } as const;
  const plain = probeText(report, false);
  const coloured = probeText(report, true);
  assert.match(coloured, /\u001b\[32m✓\u001b\[0m/);
  assert.equal(coloured.replaceAll(/\u001b\[\d+m/g, ""), plain);
});
