import assert from "node:assert/strict";
import { test } from "node:test";
import { type FleetGroup, groupOf } from "../../../../../src/engines/envoy/fleet/groups.ts";

const group = (name: string, match: Partial<FleetGroup["match"]>): FleetGroup => ({
  name,
  match: { spiffe: [], dns: [], ...match },
  namespaces: ["default"],
});

const GROUPS = [
  group("one", { spiffe: ["spiffe://example.org/edge/one"] }),
  group("below", { spiffe: ["spiffe://example.org/edge/*"], dns: ["edge.example.org"] }),
  group("names", { dns: ["*.edge.example.org"] }),
];

const spiffe = (...uris: string[]) => groupOf({ uris, dnsNames: [] }, GROUPS)?.name;
const dns = (...dnsNames: string[]) => groupOf({ uris: [], dnsNames }, GROUPS)?.name;

test("a SPIFFE ID belongs to the first group that names it, or what it is below", () => {
  assert.equal(spiffe("spiffe://example.org/edge/one"), "one");
  assert.equal(spiffe("spiffe://example.org/edge/two"), "below");
  assert.equal(spiffe("spiffe://example.org/edge/two/a"), "below");
  for (const other of [
    "spiffe://example.org/edge",
    "spiffe://example.org/edges/one",
    "spiffe://example.org.evil/edge/one",
    "spiffe://other.org/edge/one",
    "spiffe://example.org/edge/../one",
    "https://example.org/edge/one",
  ])
    assert.equal(spiffe(other), undefined, other);
});

test("a certificate with two URIs is nobody's SPIFFE ID", () => {
  assert.equal(spiffe("spiffe://example.org/edge/one", "spiffe://example.org/x"), undefined);
});

test("a DNS name is matched whole, or with one label for the star", () => {
  assert.equal(dns("Edge.example.org"), "below");
  assert.equal(dns("other.org", "a.edge.example.org"), "names");
  for (const other of [
    "a.b.edge.example.org",
    ".edge.example.org",
    "xedge.example.org",
    "*.edge.example.org",
  ])
    assert.equal(dns(other), undefined, other);
});
