import assert from "node:assert/strict";
import { after, before, describe, it } from "../../behaviour/engines.ts";
import type { RunningGateway } from "../../support/gateway.ts";
import { until } from "../../support/until.ts";
import { type Site, startSites, together } from "./site.ts";
import type { Told } from "./sources.ts";

// Whatever an issuer says, by every source at once: what serves goes on, to the peer and to clients; the lie is said; nobody is
// asked in a hot loop; and a good answer is taken when it comes.

/** Of a source that is asked: two streams of Istio's and Consul's each, and an acknowledgement of each answer. */
const MOST_QUESTIONS = 14;
const HELD_MS = 3_000;

interface Lie {
  /** Instead of what is good now. */
  readonly tell: (site: Site) => Promise<Partial<Told>> | Partial<Told>;
  /** What is said of it, by any source that has no line of its own. */
  readonly said: RegExp;
  readonly by?: Readonly<Record<string, RegExp>>;
  /** By these sources it is none. */
  readonly not?: readonly string[];
}

const KEPT = "kept-previous";
const LIES: Readonly<Record<string, Lie>> = {
  "garbage for a certificate": {
    tell: () => ({ certificate: "\u0000\u0001 no certificate at all" }),
    said: new RegExp(`pem-invalid ${KEPT}`),
    by: { "a SPIFFE agent": new RegExp(`issuer-unavailable ${KEPT}: .*cannot be read`) },
  },
  "half a certificate": {
    tell: ({ good }) => ({ certificate: good.certificate.slice(0, good.certificate.length / 2) }),
    said: new RegExp(`pem-invalid ${KEPT}`),
    by: { "a SPIFFE agent": new RegExp(`issuer-unavailable ${KEPT}: .*cannot be read`) },
  },
  "garbage for a key": {
    tell: () => ({ privateKey: "\u0000\u0001 no key at all" }),
    said: new RegExp(`(pem-invalid|private-key-invalid) ${KEPT}`),
  },
  "a key of another": {
    tell: async (site) => ({ privateKey: (await site.issue()).privateKey }),
    said: new RegExp(`private-key-mismatch ${KEPT}`),
  },
  "no CA at all": {
    tell: () => ({ anchors: [] }),
    said: new RegExp(`(pem-invalid|trust-[a-z-]+|issuer-unavailable) ${KEPT}`),
  },
  "garbage for a CA": {
    tell: () => ({ anchors: ["\u0000\u0001 no CA at all"] }),
    said: new RegExp(`pem-invalid ${KEPT}`),
    by: { "a SPIFFE agent": new RegExp(`issuer-unavailable ${KEPT}: .*the CAs`) },
  },
  "a certificate that has ended": {
    tell: (site) => site.issue({ notAfter: new Date(Date.now() - 60_000) }),
    said: new RegExp(`certificate-expired ${KEPT}`),
  },
  "a certificate of a stranger": {
    tell: (site) => site.issue({ stranger: true }),
    said: new RegExp(`certificate-[a-z-]+ ${KEPT}`),
    // Of a context with hosts the CA is its clients', and says nothing about the certificate.
    not: ["certificate files"],
  },
  megabytes: {
    tell: ({ good }) => ({
      certificate: `${good.certificate}-----BEGIN CERTIFICATE-----\n${"A".repeat(6_000_000)}\n-----END CERTIFICATE-----\n`,
    }),
    said: new RegExp(`issuer-unavailable ${KEPT}`),
    by: {
      "a Secret": /document-too-large/,
      "Consul Connect": new RegExp(`pem-invalid ${KEPT}`),
      "certificate files": new RegExp(`file-unreadable|${KEPT}`),
    },
  },
};

describe("an issuer that lies", () => {
  let gateway: RunningGateway;
  let sites: Site[];
  before(async () => {
    ({ gateway, sites } = await startSites());
    await Promise.all(sites.map((site) => site.renew(gateway)));
  });
  after(async () => {
    await gateway.stop();
    for (const site of sites) await site.stop();
  });

  for (const [what, { tell, said, by = {}, not = [] }] of Object.entries(LIES))
    it(`by ${what}: last good, said, few questions, and the next good one`, async () => {
      const liars = sites.filter(({ source }) => !not.includes(source));
      await together(
        liars.map(async (site) => {
          const asked = site.issuer?.asked() ?? 0;
          const heldUntil = Date.now() + HELD_MS;
          await site.tell({ ...site.good, ...(await tell(site)) });
          const expected = by[site.source] ?? said;
          let last = "";
          await until(
            async () => {
              last = (await site.findings(gateway)).join("\n");
              return expected.test(last);
            },
            20_000,
            () => `${site.source}: ${expected}, and not\n${last}`,
          );
          assert.doesNotMatch(last, /route-fails-closed|connections-refused/, site.source);
          do assert.equal(await site.wrong(gateway), null);
          while (Date.now() < heldUntil);
          const count = (site.issuer?.asked() ?? 0) - asked;
          assert.ok(count <= MOST_QUESTIONS, `${site.source} was asked ${count} times`);
          await site.renew(gateway);
        }),
      );
    });
});
