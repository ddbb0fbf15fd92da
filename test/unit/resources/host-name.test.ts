import assert from "node:assert/strict";
import { test } from "node:test";
import { inAscii } from "../../../src/resources/host-name.ts";

test("a name in another script is told as DNS and certificates have it", () => {
  assert.equal(inAscii("bücher.example"), "; in ASCII it is `xn--bcher-kva.example`");
  assert.equal(inAscii("*.münchen.example"), "; in ASCII it is `*.xn--mnchen-3ya.example`");
  for (const none of ["shop.example", "a b", "ü b.example", "", "*"]) assert.equal(inAscii(none), "");
});
