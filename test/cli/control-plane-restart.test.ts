import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { freePort } from "../support/tcp.ts";
import { until } from "../support/until.ts";
import { startUpstream } from "../support/upstream.ts";
import { eventually, fetchText, scratch } from "./credence.ts";
import { object, pki, proxies, startControlPlane, startEnvoy } from "./fleet.ts";

test("a control plane that was killed has its Envoy again within seconds, and nothing is lost or sent twice", async (t) => {
  const files = await pki(t);
  const upstream = await startUpstream("cleartext");
  t.after(() => upstream.close());
  const service = `127.0.0.1:${upstream.port}`;
  const [port, xdsPort] = [await freePort(), await freePort()];
  const folder = scratch(t, {
    "a.yaml":
      object("Module", "default", "ambassador", { config: { service_port: port } }) +
      object("Mapping", "default", "a", { prefix: "/a/", service }),
  });
  const flags = ["--xds-address", `127.0.0.1:${xdsPort}`];
  const first = await startControlPlane(t, folder, files, ...flags);
  files.write(
    "edge",
    await files.authority.issue({ commonName: "edge", dnsNames: ["edge"], usage: "client" }),
  );
  await startEnvoy(t, files, first.ready.xds, "edge");
  const status = async (path: string): Promise<number> =>
    fetchText(`http://127.0.0.1:${port}${path}`).then(
      (answer) => answer.status,
      () => 0,
    );
  await eventually(async () => (await status("/a/")) === 200);
  const metric = async (admin: string, name: string): Promise<number> =>
    Number(
      new RegExp(`^${name}\\{node="edge"\\} (\\d+)$`, "m").exec(
        (await fetchText(`http://${admin}/metrics`)).body,
      )?.[1],
    );
  const sentAtFirst = await metric(first.ready.admin, "credence_xds_bytes_total");
  assert.ok(sentAtFirst > 1000);

  const seen: number[] = [];
  let isOver = false;
  const load = (async () => {
    while (!isOver) seen.push(await status("/a/"));
  })();
  first.process.child.kill("SIGKILL");
  await once(first.process.child, "close");
  // Its attempts are further and further apart.
  const asked = seen.length;
  const end = performance.now() + 4_000;
  await until(() => seen.length > asked + 100 && performance.now() > end);
  // Meanwhile somebody changed something.
  writeFileSync(join(folder, "b.yaml"), object("Mapping", "default", "b", { prefix: "/b/", service }));
  assert.equal(await status("/b/"), 404);

  const second = await startControlPlane(t, folder, files, ...flags);
  await until(
    async () => [...(await proxies(second.ready.admin)).values()][0]?.[0]?.upToDate === true,
    10_000,
    "its Envoy",
  );
  await until(async () => (await status("/b/")) === 200);
  isOver = true;
  await load;
  assert.deepEqual(new Set(seen), new Set([200]));
  const sent = await metric(second.ready.admin, "credence_xds_bytes_total");
  assert.ok(sent > 0 && sent < sentAtFirst / 2, `${sent} bytes of ${sentAtFirst}`);
});
