import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { certificates, secretYaml } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { until } from "../support/until.ts";
import { startUpstream } from "../support/upstream.ts";
import { eventually, fetchText, scratch } from "./credence.ts";
import { object, pki, proxies, startControlPlane, startMember, statusOn } from "./fleet.ts";

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
  await startMember(t, files, first.ready.xds, "edge");
  const status = statusOn(port);
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

test("a certificate that is replaced while no control plane runs retires the connections that were made with the one before", async (t) => {
  const files = await pki(t);
  const { ca } = await certificates();
  const upstream = await startUpstream("mtls");
  t.after(() => upstream.close());
  const [port, xdsPort] = [await freePort(), await freePort()];
  const folder = scratch(t, {
    "a.yaml":
      object("Module", "default", "ambassador", { config: { service_port: port } }) +
      object("Mapping", "default", "a", {
        prefix: "/a/",
        service: `https://localhost:${upstream.port}`,
        tls: "up",
      }) +
      object("TLSContext", "default", "up", { secret: "up", ca_secret: "up", sni: "localhost" }),
  });
  const replace = async (): Promise<string> => {
    const { certificate, privateKey } = await ca.issue({ commonName: "gateway", usage: "client" });
    writeFileSync(
      join(folder, "secret.yaml"),
      secretYaml("up", { certificate, privateKey, ca: ca.certificate }),
    );
    return new X509Certificate(certificate).serialNumber.toLowerCase();
  };
  const before = await replace();
  const flags = ["--xds-address", `127.0.0.1:${xdsPort}`];
  const first = await startControlPlane(t, folder, files, ...flags);
  await startMember(t, files, first.ready.xds, "edge");
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const ask = async (): Promise<number> => {
    const [response] = await once(get(`http://127.0.0.1:${port}/a/`, { agent }), "response");
    await once(response.resume(), "end");
    return response.statusCode;
  };
  await until(() =>
    ask().then(
      (status) => status === 200,
      () => false,
    ),
  );
  assert.ok(upstream.live.has(before));

  first.process.child.kill("SIGKILL");
  await once(first.process.child, "close");
  const after = await replace();
  await startControlPlane(t, folder, files, ...flags);
  await until(async () => (await ask()) === 200 && upstream.live.has(after) && !upstream.live.has(before));
});

test("a control plane that starts with a document that it cannot read publishes nothing: its Envoys keep what stands in it", async (t) => {
  const files = await pki(t);
  const upstream = await startUpstream("cleartext");
  t.after(() => upstream.close());
  const service = `127.0.0.1:${upstream.port}`;
  const [port, xdsPort] = [await freePort(), await freePort()];
  const mapping = (name: string): string =>
    object("Mapping", "default", name, { prefix: `/${name}/`, service });
  const folder = scratch(t, {
    "module.yaml": object("Module", "default", "ambassador", { config: { service_port: port } }),
    "a.yaml": mapping("a"),
  });
  const flags = ["--xds-address", `127.0.0.1:${xdsPort}`];
  const first = await startControlPlane(t, folder, files, ...flags);
  await startMember(t, files, first.ready.xds, "edge");
  const status = statusOn(port);
  await until(async () => (await status("/a/")) === 200);
  first.process.child.kill("SIGKILL");
  await once(first.process.child, "close");

  writeFileSync(join(folder, "a.yaml"), `${mapping("a")}: [`);
  writeFileSync(join(folder, "b.yaml"), mapping("b"));
  const second = await startControlPlane(t, folder, files, ...flags);
  await until(async () => [...(await proxies(second.ready.admin)).values()][0]?.length === 1);
  const ready = await fetchText(`http://${second.ready.admin}/ambassador/v0/check_ready`);
  assert.equal(ready.status, 503);
  assert.match(
    ready.body,
    /^not ready: nothing is published, and Envoys keep what they have: some documents could not be read/,
  );
  const seen: number[] = [];
  while (seen.length < 300) seen.push(await status("/a/"));
  assert.deepEqual([...new Set(seen)], [200]);
  assert.equal(await status("/b/"), 404);

  writeFileSync(join(folder, "a.yaml"), mapping("a"));
  await until(async () => (await status("/b/")) === 200);
  assert.equal(await status("/a/"), 200);
});
