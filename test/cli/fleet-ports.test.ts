import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { eventually, fetchText, mapping, scratch } from "./credence.ts";
import { object, pki, startControlPlane, startMember } from "./fleet.ts";

test("a port that one Envoy of a fleet could not open is tried again by itself, and said once", async (t) => {
  const files = await pki(t);
  const taken = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  t.after(() => taken.close());
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  const folder = scratch(t, {
    "a.yaml":
      mapping("a", "/a/", "127.0.0.1:9") +
      object("Module", "default", "ambassador", { config: { service_port: port } }),
  });
  const { process: plane, ready } = await startControlPlane(t, folder, files);
  await startMember(t, files, ready.xds, "edge");
  const found = async (): Promise<{ code: string; message: string }[]> =>
    JSON.parse((await fetchText(`http://${ready.admin}/ambassador/v0/diag/?json=true`)).body).diagnostics;
  await eventually(async () => (await found()).length > 0);
  assert.deepEqual(
    (await found()).map(({ code, message }) => [code, /cannot bind.*\(edge\)$/.test(message)]),
    [["listener-port-unavailable", true]],
  );
  taken.close();
  await once(taken, "close");
  await eventually(() =>
    fetchText(`http://127.0.0.1:${port}/a/`).then(
      ({ status }) => status === 503,
      () => false,
    ),
  );
  await eventually(async () => (await found()).length === 0);
  const said = (): string[] =>
    plane.stderr
      .split("\n")
      .filter((line) => line.includes("listener-port-unavailable"))
      .map((line) => /"msg":"(no longer: )?/.exec(line)?.[1] ?? "");
  await eventually(() => said().length >= 2);
  assert.deepEqual(said(), ["", "no longer: "], plane.stderr);
});
