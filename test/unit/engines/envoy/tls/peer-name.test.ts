import assert from "node:assert/strict";
import { test } from "node:test";
import { workloadMatcher } from "../../../../../src/engines/envoy/tls/peer-name.ts";
import { trustDomainOf } from "../../../../../src/x509/spiffe.ts";

/** Every text of these letters up to `length`. */
function* texts(letters: string, length: number): Generator<string> {
  yield "";
  if (length > 0)
    for (const letter of letters) for (const rest of texts(letters, length - 1)) yield letter + rest;
}

test("Envoy takes the URIs of a trust domain that are SPIFFE IDs for the other engine, and no others", () => {
  const { matcher } = workloadMatcher("mesh.example") as {
    matcher: { matchPattern: { value: { regex: string } } };
  };
  // Envoy's regexes match the whole text.
  const whole = new RegExp(`^(?:${matcher.matchPattern.value.regex})$`);
  let accepted = 0;
  for (const path of texts("./a~", 6)) {
    const uri = `spiffe://mesh.example${path}`;
    const isId = trustDomainOf(uri) === "mesh.example";
    if (isId) accepted++;
    assert.equal(whole.test(uri), isId, uri);
  }
  assert.ok(accepted > 50);
});
