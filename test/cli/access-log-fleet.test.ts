import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { freePort } from "../support/free-port.ts";
import { until } from "../support/until.ts";
import { fetchText, scratch } from "./credence.ts";
import { object, pki, startControlPlane, startMember } from "./fleet.ts";

interface Line {
  readonly path: string;
  readonly revision: number | null;
}

test("lines of a fleet's Envoys name the newest revision that was whole and known to be when the request began", async (t) => {
  const slow: ServerResponse[] = [];
  const upstream = createServer((request, response) => {
    if (request.url?.startsWith("/slow") === true) slow.push(response);
    else response.end("quick");
  });
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  t.after(() => {
    upstream.close();
    upstream.closeAllConnections();
  });
  const service = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  const files = await pki(t);
  const port = await freePort();
  const mapping = (name: string): string =>
    object("Mapping", "default", name, { prefix: `/${name}/`, rewrite: "", timeout_ms: 0, service });
  const folder = scratch(t, {
    "a.yaml": object("Module", "default", "ambassador", { config: { service_port: port } }) + mapping("slow"),
  });
  const { ready } = await startControlPlane(t, folder, files);
  const envoy = await startMember(t, files, ready.xds, "edge", "--file-flush-interval-msec", "20");
  const url = `http://127.0.0.1:${port}`;
  const status = (path: string): Promise<number> =>
    fetchText(`${url}${path}`).then(
      (answer) => answer.status,
      () => 0,
    );
  const lines = (): Line[] =>
    envoy
      .stdout()
      .split("\n")
      .filter((line) => line.startsWith("{") && line.endsWith("}"))
      .map((line) => JSON.parse(line) as Line);
  const newest = async (): Promise<number | null> => {
    const count = lines().length;
    await status("/none/");
    await until(() => lines().length > count);
    return lines().at(-1)?.revision ?? null;
  };
  await until(async () => (await status("/none/")) === 404, 30_000);
  const first = await newest();
  assert.equal(typeof first, "number");
  const late = fetchText(`${url}/slow/`);
  await until(() => slow.length === 1);
  for (const name of ["b", "c"]) {
    writeFileSync(join(folder, `${name}.yaml`), mapping(name));
    await until(async () => (await status(`/${name}/`)) === 200);
  }
  await until(async () => (await newest()) === Number(first) + 2);
  for (const response of slow) response.end("late");
  assert.equal((await late).body, "late");
  await until(() => lines().some(({ path }) => path === "/slow/"));
  assert.equal(lines().find(({ path }) => path === "/slow/")?.revision, first);
  // No revision is named before it is there: what a new Mapping serves, it serves under its own or, for a moment, the one before.
  const ofB = lines().filter(({ path }) => path === "/b/");
  assert.ok(
    ofB.every(({ revision }) => Number(revision) >= Number(first) && Number(revision) <= Number(first) + 1),
  );
});
