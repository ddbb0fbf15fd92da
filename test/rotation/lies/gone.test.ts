import assert from "node:assert/strict";
import { it } from "../../behaviour/engines.ts";
import { serialOf } from "../soak/serial.ts";
import { startGateway } from "../../support/gateway.ts";
import { until } from "../../support/until.ts";
import { peerHost } from "../soak/world.ts";
import { CLEARTEXT_YAML, startSite, together } from "./site.ts";
import { LIARS } from "./sources.ts";

const LIVES_MS = 8_000;

// How often an issuer is asked meanwhile is in issuer-gone.test.ts.
it("nothing new until the last good one has ended: shown till then, nobody is served with it after, and a new one opens both ways", async () => {
  const names = Object.keys(LIARS);
  const hosts = Object.fromEntries(names.map((_, index) => [peerHost(`site-${index}`), ["127.0.0.1"]]));
  const gateway = await startGateway({}, { watch: true, hosts });
  const sites = await Promise.all(
    names.map((source, index) => startSite(source, `site-${index}`, gateway.directory)),
  );
  try {
    await gateway.replace("routes.yaml", CLEARTEXT_YAML + sites.map(({ yaml }) => yaml).join(""));
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
        assert.match(
          (await site.findings(gateway)).join(),
          /certificate-expired route-fails-closed/,
          explain(),
        );
        await site.renew(gateway);
      }),
    );
  } finally {
    await gateway.stop();
    for (const site of sites) await site.stop();
  }
});
