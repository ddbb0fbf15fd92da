import assert from "node:assert/strict";
import { test } from "node:test";
import type { HandshakeReason } from "../../src/diagnostics/handshake.ts";
import { changesFor, type Situation } from "../../src/probe/advice.ts";
import { certificateFacts } from "../../src/x509/facts.ts";
import { NAMES } from "../support/issuing.ts";
import { serverOf } from "./peers.ts";

const { dns, ip, uri } = NAMES;
const factsOf = (...names: readonly Buffer[]) =>
  certificateFacts(serverOf({ names: [...names] }).certificate);

const SITUATION: Situation = {
  users: ["mapping/default/quote"],
  context: "tlscontext/default/up",
  credential: "secret/default/up",
  trust: "secret/default/ca",
  host: "quote",
  isDiscovered: false,
  isClient: false,
  leaf: factsOf(dns("other.example")),
  own: null,
  rules: null,
  parameters: null,
  top: factsOf(dns("other.example")),
  pin: null,
  authorities: [],
  takes: null,
  place: () => null,
};

/** What can be followed as it is written, and what nobody can mend in the resources. */
const CASES: readonly (readonly [what: string, HandshakeReason, Partial<Situation>, readonly string[]])[] = [
  [
    "a CA of files goes into the file",
    "issuer_unknown",
    { trust: "files/default/up" },
    ["cacert_chain_file: in that file, add the CA CN=peers' root"],
  ],
  [
    "beside an issuer no Secret may be named",
    "issuer_unknown",
    { trust: "istio/run/sds" },
    ["identity: add the CA CN=peers' root where it issues, as peers are trusted by what it delivers"],
  ],
  [
    "another trust domain is federated",
    "issuer_unknown",
    { trust: "spiffe/run/agent.sock", leaf: factsOf(uri("spiffe://partner.example/a")) },
    ["identity.spiffe.federated: add partner.example, if that domain is to be trusted"],
  ],
  [
    "beside an issuer there is no other certificate to name",
    "client_certificate_refused",
    { credential: "consul/dc1/ambassador" },
    ["identity: another certificate, which its issuer would have to deliver"],
  ],
  [
    "a certificate of files",
    "client_certificate_refused",
    { credential: "files/default/up", authorities: ["CN=clients"] },
    ["cert_chain_file: in that file, another certificate of CN=clients"],
  ],
  [
    "an address is verified and never sent",
    "name_mismatch",
    { leaf: factsOf(ip(127, 0, 0, 1)) },
    ["verify: { dns_names: [127.0.0.1] }, if that is who should answer"],
  ],
  [
    "a service of Consul is no matter of DNS",
    "dns_failure",
    { isDiscovered: true },
    ["the name of a service that its resolver has healthy instances of; of quote it has none"],
  ],
  ["an address as a DNS name is nobody's", "name_mismatch", { leaf: factsOf(dns("127.0.0.1")) }, []],
  [
    "a SPIFFE ID instead of a name",
    "name_mismatch",
    { leaf: factsOf(uri("spiffe://prod.example/a")) },
    ["verify: { spiffe_ids: [spiffe://prod.example/a] }, if that is who should answer"],
  ],
  [
    "a client that has an ID alone",
    "name_mismatch",
    {
      isClient: true,
      leaf: factsOf(uri("spiffe://prod.example/a")),
      rules: { identities: { dnsNames: ["*.example"] } },
    },
    ["verify.spiffe_ids: [spiffe://prod.example/a], if that client may come"],
  ],
  [
    "other rules stay",
    "name_mismatch",
    { rules: { maxDepth: 1 } },
    ["sni: other.example, or verify.dns_names: [other.example]"],
  ],
  [
    "a URI that is no SPIFFE ID",
    "spiffe_id_mismatch",
    { leaf: factsOf(uri("spiffe://prod.example/a/")) },
    [],
  ],
  [
    "two SPIFFE IDs are none",
    "spiffe_id_mismatch",
    { leaf: factsOf(uri("spiffe://prod.example/a"), uri("spiffe://prod.example/b")) },
    [],
  ],
  [
    "an ID outside of the trust domains that are written",
    "spiffe_id_mismatch",
    {
      leaf: factsOf(uri("spiffe://prod.example/a")),
      rules: { identities: { trustDomains: ["test.example"] } },
    },
    ["verify.trust_domains: add prod.example, if that is who should answer"],
  ],
  [
    "an ID that is expected, and not believed",
    "spiffe_id_mismatch",
    {
      leaf: factsOf(uri("spiffe://prod.example/a")),
      rules: { identities: { spiffeIds: ["spiffe://prod.example/a"] } },
    },
    [],
  ],
];

for (const [what, reason, situation, expected] of CASES)
  test(`what to change: ${what}`, () => {
    const changes = changesFor(reason, { ...SITUATION, ...situation });
    assert.deepEqual(
      changes.map(({ says }) => says),
      expected,
    );
  });
