import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, it } from "../../behaviour/engines.ts";
import type { RunningGateway } from "../../support/gateway.ts";
import { until } from "../../support/until.ts";
import { serialOf } from "../soak/serial.ts";
import { type Site, startSites, together } from "./site.ts";
import type { Told } from "./sources.ts";

// What an issuer says may be good, and its pace is not: nothing for a long time, or more than anybody can use.

const FLOOD_MS = 5_000;
const MANY = 30;
/** Of answers in a row each source takes a few a second; Istio's acknowledge each that is taken, by two streams. */
const MOST_QUESTIONS = 150;

describe("the pace of an issuer", () => {
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

  it("that says nothing is waited for: last good, said, one question, and its answer is taken when it comes", async () => {
    await together(
      sites.map(async (site) => {
        const { issuer } = site;
        if (issuer === undefined) return;
        const asked = issuer.asked();
        await issuer.fallSilent();
        await until(
          async () =>
            /issuer-unavailable kept-previous: no answer for 5 s/.test((await site.findings(gateway)).join()),
          30_000,
          async () => `${site.source}: ${await site.findings(gateway)}`,
        );
        assert.equal(await site.wrong(gateway), null);
        const count = issuer.asked() - asked;
        assert.ok(count > 0 && count <= 4, `${site.source} was asked ${count} times`);
        await site.renew(gateway);
        assert.ok(issuer.asked() - asked <= 10, `${site.source} was asked ${issuer.asked() - asked} times`);
      }),
    );
  });

  it("that floods with good answers: none is lost, few are taken, and the last is in effect", async () => {
    await together(
      sites.map(async (site) => {
        await site.renew(gateway);
        const many: Told[] = [];
        for (let count = 0; count < 12; count++) many.push(await site.issue());
        const good = new Set([site.good, ...many].map(serialOf));
        const asked = site.issuer?.asked() ?? 0;
        const end = Date.now() + FLOOD_MS;
        let told = 0;
        while (Date.now() < end || told < MANY) {
          await site.tell(many[told++ % many.length] as Told);
          await sleep(2);
          if (told % 20 !== 0) continue;
          const shown = await site.shown(gateway);
          assert.ok(
            shown.every((serial) => good.has(serial)),
            `${site.source}: ${shown.join()}`,
          );
        }
        const count = (site.issuer?.asked() ?? 0) - asked;
        assert.ok(count <= MOST_QUESTIONS, `${site.source} was asked ${count} times about ${told}`);
        await site.renew(gateway);
      }),
    );
  });

  it("that floods with lies: last good, said, few questions, and a good one is taken after them", async () => {
    await together(
      sites.map(async (site) => {
        await site.renew(gateway);
        const ended = await site.issue({ notAfter: new Date(Date.now() - 60_000) });
        const asked = site.issuer?.asked() ?? 0;
        const end = Date.now() + FLOOD_MS;
        let told = 0;
        while (Date.now() < end || told < MANY) {
          await site.tell(told++ % 2 === 0 ? ended : { ...site.good, privateKey: ended.privateKey });
          await sleep(2);
        }
        assert.equal(await site.wrong(gateway), null);
        assert.match((await site.findings(gateway)).join(), / kept-previous: /, site.source);
        const count = (site.issuer?.asked() ?? 0) - asked;
        assert.ok(count <= MOST_QUESTIONS, `${site.source} was asked ${count} times about ${told}`);
        await site.renew(gateway);
      }),
    );
  });
});
