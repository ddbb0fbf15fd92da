import assert from "node:assert/strict";
import { it } from "../../behaviour/engines.ts";
import { serialOf } from "../soak/serial.ts";
import { until } from "../../support/until.ts";
import { startSites, together } from "./site.ts";

const LIVES_MS = 8_000;

// How often an issuer is asked meanwhile is in issuer-gone.test.ts.
it("nothing new until the last good one has ended: shown till then, nobody is served with it after, and a new one opens both ways", async () => {
  const { gateway, sites } = await startSites();
  try {
    await together(
      sites.map(async (site) => {
        await site.renew(gateway);
        const notAfter = new Date(Date.now() + LIVES_MS);
        const last = await site.issue({ notAfter });
        await site.tell(last);
        let shown: readonly string[] = [];
        const explain = (): string => `${site.source}: ${shown.join(", ")}`;
        const serial = serialOf(last);
        await until(
          async () => {
            shown = await site.shown(gateway);
            return shown.every((each) => each === serial);
          },
          LIVES_MS,
          explain,
        );
        await site.issuer?.fallSilent();
        await until(() => Date.now() > notAfter.getTime() + 1_000);
        await until(
          async () => {
            shown = await site.shown(gateway);
            return /^503 /.test(shown[0] ?? "") && /^[A-Z][A-Z_]+$/.test(shown[1] ?? "");
          },
          10_000,
          explain,
        );
        const found = (await site.findings(gateway)).join();
        // Of files that a TLSContext itself names it is told where the context stands, which has hosts.
        assert.match(found, /certificate-expired (?:route-fails-closed|host-refused)/, explain());
        assert.match(found, /route-fails-closed/, explain());
        await site.renew(gateway);
      }),
    );
  } finally {
    await gateway.stop();
    for (const site of sites) await site.stop();
  }
});
