import { test } from "node:test";
import { utf8 } from "../../support/der.ts";
import {
  ecKeys,
  issueCa,
  NAMES,
  nameConstraints,
  nameOf,
  type Issued,
  type Issuing,
} from "../../support/issuing.ts";
import { assertAccepted, assertFault, judge, leafOf, MIDDLE, ROOT } from "./verify-support.ts";

/** The verdict about a leaf of a CA with these constraints. */
function constrained(permitted: readonly Buffer[], excluded: readonly Buffer[], leaf: Issuing) {
  const ca = issueCa({ subject: "narrow", by: ROOT, extensions: [nameConstraints(permitted, excluded)] });
  return judge([leafOf({ by: ca, subject: nameOf([]), ...leaf }), ca], { usage: "client" });
}

const { dns, email, uri, ip, directory } = NAMES;

test("only a name among the SANs counts, never the common name", () => {
  const leaf = leafOf({ subject: "peer.example", names: [dns("other.example")] });
  assertFault(
    judge([leaf]),
    "name_mismatch",
    /^CN=peer\.example .* is not for peer\.example but for other\.example/,
  );
  assertFault(judge([leafOf({ subject: "peer.example", names: [] })]), "name_mismatch", /but for no name/);
});

test("a wildcard stands for one label, and no part of one", () => {
  const wildcard = leafOf({ names: [dns("*.peer.example")] });
  assertAccepted(judge([wildcard], { name: "a.peer.example" }));
  assertFault(judge([wildcard], { name: "b.a.peer.example" }), "name_mismatch", /\*\.peer\.example/);
  assertFault(judge([wildcard], { name: "peer.example" }), "name_mismatch", /\*\.peer\.example/);
  assertFault(judge([leafOf({ names: [dns("p*r.example")] })]), "name_mismatch", /p\*r\.example/);
});

test("an address counts only as an address", () => {
  const leaf = leafOf({ names: [ip(127, 0, 0, 1)] });
  assertAccepted(judge([leaf], { name: "127.0.0.1" }));
  assertFault(
    judge([leaf], { name: "127.0.0.2" }),
    "name_mismatch",
    /is not for 127\.0\.0\.2 but for 127\.0\.0\.1/,
  );
  const six = leafOf({ names: [ip(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)] });
  for (const name of ["2001:db8::1", "2001:0DB8:0:0::0001"]) assertAccepted(judge([six], { name }));
  assertFault(judge([six], { name: "::1" }), "name_mismatch", /is not for ::1 but for 2001:db8::1/);
  assertFault(
    judge([leafOf({ names: [dns("127.0.0.1")] })], { name: "127.0.0.1" }),
    "name_mismatch",
    /127\.0\.0\.1/,
  );
});

test("between SPIFFE identities a peer of our trust domain is taken, if it has no other name", () => {
  const ours = { trustDomain: "prod.example" };
  const peer = leafOf({ names: [uri("spiffe://prod.example/ns/a/sa/b")] });
  assertAccepted(judge([peer], ours));
  assertFault(judge([peer]), "name_mismatch", /spiffe:/);
  const theirs = leafOf({ names: [uri("spiffe://other.example/ns/a/sa/b")] });
  assertFault(
    judge([theirs], ours),
    "spiffe_id_mismatch",
    /spiffe:\/\/other\.example.* not of the trust domain prod/,
  );
  const named = leafOf({ names: [dns("other.example"), uri("spiffe://prod.example/ns/a/sa/b")] });
  assertFault(judge([named], ours), "name_mismatch", /other\.example/);
});

test("verify.dns_names: one of them is enough, and stands instead of the name that was dialled", () => {
  const leaf = leafOf({ names: [dns("a.corp.example"), dns("*.b.corp.example")] });
  const of = (...dnsNames: string[]) => judge([leaf], { identities: { dnsNames } });
  assertAccepted(of("peer.example", "a.corp.example"));
  assertAccepted(of("x.b.corp.example"));
  assertAccepted(of("*.corp.example"));
  assertFault(
    of("peer.example"),
    "name_mismatch",
    /none of peer\.example but for a\.corp\.example, \*\.b\.corp/,
  );
  assertFault(of("*.a.corp.example"), "name_mismatch", /none of/);
  assertFault(
    judge([leafOf({ names: [dns("evilcorp.example")] })], { identities: { dnsNames: ["*.corp.example"] } }),
    "name_mismatch",
    /evilcorp/,
  );
});

test("verify.spiffe_ids: the ID is the certificate's only URI", () => {
  const id = "spiffe://prod.example/ns/a/sa/b";
  const of = (...names: Buffer[]) => judge([leafOf({ names })], { identities: { spiffeIds: [id] } });
  assertAccepted(of(uri(id)));
  assertAccepted(of(dns("other.example"), uri(id)));
  assertFault(of(uri(`${id}c`)), "spiffe_id_mismatch", /sa\/bc, which is not any of spiffe/);
  assertFault(
    of(uri(id), uri(`${id}c`)),
    "spiffe_id_mismatch",
    /2 URIs, where a SPIFFE ID must be the only one/,
  );
  for (const none of [
    `${id}/`,
    "spiffe://PROD.example/ns/a/sa/b",
    `${id}?x=1`,
    "spiffe://prod.example/a%2Fb",
  ])
    assertFault(
      of(uri(none)),
      "spiffe_id_mismatch",
      /a URI that is no SPIFFE ID \(trust domains are in lower case/,
    );
  assertFault(of(dns("peer.example")), "spiffe_id_mismatch", /no SPIFFE ID/);
});

test("verify.trust_domains: any ID of the domain, from a CA of no other", () => {
  const identities = { trustDomains: ["prod.example"] };
  const names = [uri("spiffe://prod.example/a")];
  assertAccepted(judge([leafOf({ names })], { identities }));
  assertFault(
    judge([leafOf({ names: [uri("spiffe://prod.example.evil/a")] })], { identities }),
    "spiffe_id_mismatch",
    /evil/,
  );
  const theirs = issueCa({ subject: "theirs", by: ROOT, names: [uri("spiffe://other.example")] });
  const leaf = leafOf({ by: theirs, names });
  assertFault(
    judge([leaf, theirs], { identities }),
    "spiffe_id_mismatch",
    /from a CA of spiffe:\/\/other/,
    leaf,
  );
});

test("a workload's certificate is no CA's", () => {
  const id = "spiffe://prod.example/a";
  const ca = issueCa({
    subject: "ca",
    by: ROOT,
    names: [uri(id)],
    keyUsage: ["digitalSignature", "keyCertSign"],
  });
  assertFault(judge([ca], { identities: { spiffeIds: [id] } }), "spiffe_id_mismatch", /is a CA's/, ca);
});

test("of several lists of identities one entry is enough", () => {
  const identities = { dnsNames: ["a.example"], spiffeIds: ["spiffe://prod.example/a"] };
  assertAccepted(
    judge([leafOf({ names: [dns("a.example"), uri("spiffe://other.example/a")] })], { identities }),
  );
  assertAccepted(judge([leafOf({ names: [uri("spiffe://prod.example/a")] })], { identities }));
  assertFault(judge([leafOf({ names: [dns("b.example")] })], { identities }), "name_mismatch", /b\.example/);
  assertFault(
    judge([leafOf({ names: [uri("spiffe://prod.example/b")] })], { identities }),
    "spiffe_id_mismatch",
    /\/b/,
  );
});

test("a pin is the SHA-256 of the leaf's public key, and holds besides the name", async () => {
  const { createHash } = await import("node:crypto");
  const pin = ({ keys }: Issued): string =>
    createHash("sha256")
      .update(keys.publicKey.export({ type: "spki", format: "der" }))
      .digest("base64");
  const leaf = leafOf({ by: MIDDLE });
  const chain = [leaf, MIDDLE];
  assertAccepted(judge(chain, { spkiSha256: [pin(ROOT), pin(leaf)] }));
  assertFault(judge(chain, { spkiSha256: [pin(MIDDLE)] }), "pin_mismatch", /which is not pinned/, leaf);
  assertFault(judge(chain, { spkiSha256: [pin(leaf)], name: "other.example" }), "name_mismatch", /other/);
});

test("name constraints: DNS names", () => {
  const corp = [dns("corp.example")];
  assertAccepted(constrained(corp, [], { names: [dns("corp.example"), dns("A.Corp.Example")] }));
  assertFault(
    constrained(corp, [], { names: [dns("a.corp.example"), dns("evilcorp.example")] }),
    "name_constraint",
    /the name evilcorp\.example, which is not permitted/,
  );
  assertFault(
    constrained([], corp, { names: [dns("a.corp.example")] }),
    "name_constraint",
    /excluded name a\.corp/,
  );
  assertAccepted(constrained([dns("")], [], { names: [dns("any.example")] }));
  // Names of other kinds are not constrained by it.
  assertAccepted(constrained(corp, [], { names: [uri("spiffe://other.example/a")] }));
  assertFault(
    constrained(corp, [], { names: [dns("a.corp.example\0.corp.example")] }),
    "name_constraint",
    /no constraint can/,
  );
  assertFault(constrained(corp, [], { names: [dns("a..corp.example")] }), "name_constraint", /not permitted/);
});

test("name constraints: a wildcard does not reach around an exclusion", () => {
  const excluded = [dns("secret.corp.example")];
  assertFault(
    constrained([], excluded, { names: [dns("*.corp.example")] }),
    "name_constraint",
    /excluded name \*\.corp/,
  );
  assertAccepted(constrained([], excluded, { names: [dns("*.b.corp.example")] }));
  assertFault(
    constrained([dns("a.corp.example")], [], { names: [dns("*.corp.example")] }),
    "name_constraint",
    /not permitted/,
  );
});

test("name constraints: a common name that could be a DNS name, where there is none", () => {
  const corp = [dns("corp.example")];
  assertFault(
    constrained(corp, [], { subject: "other.example", names: [] }),
    "name_constraint",
    /other\.example/,
  );
  assertAccepted(constrained(corp, [], { subject: "other.example", names: [dns("a.corp.example")] }));
  assertAccepted(constrained(corp, [], { subject: "gateway", names: [] }));
});

test("name constraints: addresses", () => {
  const net = [ip(10, 0, 0, 0, 255, 0, 0, 0)];
  assertAccepted(constrained(net, [], { names: [ip(10, 1, 2, 3)] }));
  assertFault(
    constrained(net, [], { names: [ip(11, 1, 2, 3)] }),
    "name_constraint",
    /the name 11\.1\.2\.3, which/,
  );
  assertFault(
    constrained([], net, { names: [ip(10, 1, 2, 3)] }),
    "name_constraint",
    /excluded name 10\.1\.2\.3/,
  );
  const loopback = Array.from({ length: 16 }, (_, index) => (index === 15 ? 1 : 0));
  assertFault(constrained(net, [], { names: [ip(...loopback)] }), "name_constraint", /not permitted/);
});

test("name constraints: URIs, SPIFFE IDs among them", () => {
  const domain = [uri("prod.example")];
  assertAccepted(constrained(domain, [], { names: [uri("spiffe://prod.example/a")] }));
  assertFault(
    constrained(domain, [], { names: [uri("spiffe://sub.prod.example/a")] }),
    "name_constraint",
    /sub/,
  );
  assertAccepted(constrained([uri(".prod.example")], [], { names: [uri("spiffe://sub.prod.example/a")] }));
  assertFault(
    constrained(domain, [], { names: [uri("urn:prod.example")] }),
    "name_constraint",
    /not permitted/,
  );
  assertFault(constrained([], domain, { names: [uri("urn:a")] }), "name_constraint", /excluded/);
  assertFault(
    constrained([], domain, { names: [uri("https://prod.example./")] }),
    "name_constraint",
    /excluded/,
  );
  assertFault(
    constrained(domain, [], { names: [uri("https://evil@prod.example/")] }),
    "name_constraint",
    /evil/,
  );
});

test("name constraints: e-mail addresses, in the subject too", () => {
  const host = [email("corp.example")];
  assertAccepted(constrained(host, [], { names: [email("a@corp.example")] }));
  assertFault(constrained(host, [], { names: [email("a@sub.corp.example")] }), "name_constraint", /a@sub/);
  assertAccepted(constrained([email(".corp.example")], [], { names: [email("a@sub.corp.example")] }));
  assertAccepted(constrained([email("a@corp.example")], [], { names: [email("a@CORP.example")] }));
  assertFault(
    constrained([email("a@corp.example")], [], { names: [email("A@corp.example")] }),
    "name_constraint",
    /A@/,
  );
  const subject = nameOf([["emailAddress", "a@other.example"]]);
  assertFault(constrained(host, [], { subject, names: [] }), "name_constraint", /a@other/);
});

test("name constraints: directory names", () => {
  const acme = [directory(nameOf([["O", "Acme"]]))];
  const subject = (organization: string) =>
    nameOf([
      ["O", organization],
      ["CN", "leaf"],
    ]);
  assertAccepted(constrained(acme, [], { subject: subject("ACME ") }));
  assertFault(
    constrained(acme, [], { subject: subject("Other") }),
    "name_constraint",
    /CN=leaf, O=Other, which/,
  );
  assertFault(
    constrained([], acme, { subject: subject("Acme") }),
    "name_constraint",
    /excluded name CN=leaf, O=Acme/,
  );
});

test("name constraints: kinds that nobody reads fail where a name is of them", () => {
  const other = (text: string) => Buffer.concat([Buffer.from("a00f06032a0304a008", "hex"), utf8(text)]);
  const six = other("sixsix");
  assertFault(constrained([six], [], { names: [six] }), "name_constraint", /cannot be applied/);
  assertAccepted(constrained([six], [], {}));
});

test("name constraints: one that is written as none is written applies to nothing, so its kind fails", () => {
  const written: readonly (readonly [constraint: Buffer, name: Buffer])[] = [
    [dns("*.corp.example"), dns("a.corp.example")],
    [dns("corp.example."), dns("a.corp.example")],
    [uri("https://corp.example/"), uri("https://corp.example/")],
    [email("a@"), email("a@corp.example")],
    [ip(10, 0, 0, 0), ip(10, 0, 0, 0)],
  ];
  for (const [constraint, name] of written) {
    assertFault(constrained([], [constraint], { names: [name] }), "name_constraint", /cannot be applied/);
    assertFault(constrained([constraint], [], { names: [name] }), "name_constraint", /cannot be applied/);
  }
});

test("name constraints: an anchor's, and those of a CA further up", () => {
  const extensions = [nameConstraints([dns("corp.example")])];
  const root = issueCa({ subject: "narrow root", extensions });
  const middle = issueCa({ subject: "under narrow root", by: root });
  assertFault(
    judge([leafOf({ by: middle }), middle], { anchors: [root] }),
    "name_constraint",
    /CN=narrow root .* constrains/,
  );
});

test("name constraints: of self-issued certificates only the leaf is held to them", () => {
  const outside = nameOf([["O", "Other"]]);
  const ca = issueCa({
    subject: outside,
    by: ROOT,
    extensions: [nameConstraints([directory(nameOf([["O", "Acme"]]))])],
  });
  const renewed = issueCa({ subject: outside, by: ca, keys: ecKeys() });
  const subject = nameOf([
    ["O", "Acme"],
    ["CN", "leaf"],
  ]);
  assertAccepted(judge([leafOf({ by: renewed, subject }), renewed, ca]));
  assertFault(
    judge([leafOf({ by: renewed, subject: outside, authorityKey: "key" }), renewed, ca]),
    "name_constraint",
    /Other/,
  );
});
