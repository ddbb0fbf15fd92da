import assert from "node:assert/strict";
import type { X509Certificate } from "node:crypto";
import { before, describe, it } from "node:test";
import fc from "../../support/fast-check.ts";
import { createAuthority } from "../../../src/x509/authority.ts";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import { isIssuedBy, isSelfSigned, orderChain } from "../../../src/x509/chain.ts";

/** Leaf, two intermediates, root. */
let chain: X509Certificate[] = [];
let stranger: X509Certificate;
/** Called like the root, with another key. */
let namesake: X509Certificate;

const one = (pem: string): X509Certificate => parseCertificate(pem) as X509Certificate;
const isLeaf = (certificate: X509Certificate): boolean => certificate === chain[0];

before(async () => {
  const root = await createAuthority("root");
  const upper = await root.issueAuthority("upper");
  const lower = await upper.issueAuthority("lower");
  const leaf = await lower.issue({ commonName: "leaf" });
  chain = [leaf.certificate, lower.certificate, upper.certificate, root.certificate].map(one);
  stranger = one((await createAuthority("stranger")).certificate);
  namesake = one((await createAuthority("root")).certificate);
});

describe("chains", () => {
  it("any order gives the same one", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
        const ordered = orderChain(
          order.map((index) => chain[index] as X509Certificate),
          isLeaf,
        );
        assert.deepEqual(ordered?.chain, chain);
        assert.equal(ordered.unused, 0);
        assert.equal(
          ordered.reordered,
          order.some((index, place) => index !== place),
        );
      }),
    );
  });

  it("what belongs to no link comes last and is counted, by signature and not by name", () => {
    const ordered = orderChain([stranger, namesake, ...chain], isLeaf);
    assert.deepEqual(ordered, { chain: [...chain, stranger, namesake], reordered: true, unused: 2 });
  });

  it("a missing link ends the chain there", () => {
    const [leaf, lower, , root] = chain as [
      X509Certificate,
      X509Certificate,
      X509Certificate,
      X509Certificate,
    ];
    assert.deepEqual(orderChain([leaf, lower, root], isLeaf), {
      chain: [leaf, lower, root],
      reordered: false,
      unused: 1,
    });
  });

  it("is none without its leaf", () => {
    assert.equal(orderChain(chain.slice(1), isLeaf), null);
    assert.equal(orderChain([], isLeaf), null);
  });

  it("issued means named and signed", () => {
    const [, , upper, root] = chain as [X509Certificate, X509Certificate, X509Certificate, X509Certificate];
    assert.equal(isIssuedBy(upper, root), true);
    assert.equal(isIssuedBy(upper, namesake), false);
    assert.equal(isSelfSigned(root), true);
    assert.equal(isSelfSigned(upper), false);
  });
});
