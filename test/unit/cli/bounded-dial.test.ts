import assert from "node:assert/strict";
import { mkdirSync, renameSync, symlinkSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { boundedDial } from "../../../src/cli/bounded-dial.ts";
import { loadGateway } from "../../../src/cli/load.ts";
import { wireMesh } from "../../../src/cli/mesh.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { createLogger } from "../../../src/telemetry/logger.ts";
import { scratch } from "../../cli/credence.ts";
import { until } from "../../support/until.ts";

// A group's socket is judged when its resource is read, and dialled later and again: whatever it has become meanwhile.

interface Place {
  readonly own: string;
  readonly others: string;
  /** Where the group says that its issuer is. */
  readonly link: string;
  point(to: string): void;
}

function place(t: TestContext): Place {
  const folder = scratch(t);
  const [own, others] = [join(folder, "own"), join(folder, "others")];
  for (const each of [own, others]) mkdirSync(each);
  const link = join(own, "issuer.sock");
  return {
    own,
    others: join(others, "issuer.sock"),
    link,
    point(to) {
      symlinkSync(to, `${link}.next`);
      renameSync(`${link}.next`, link);
    },
  };
}

/** Ends each connection at once, and counts them. */
async function startSocket(t: TestContext, path: string): Promise<{ connections: number }> {
  const seen = { connections: 0 };
  const server: Server = createServer((socket) => {
    seen.connections++;
    socket.on("error", () => {});
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  return seen;
}

test("what is dialled is what was looked at: in a folder of the group, wherever links lead", async (t) => {
  const { own, others, link, point } = place(t);
  const mine = join(own, "mine.sock");
  const [inside, outside] = [await startSocket(t, mine), await startSocket(t, others)];
  const dial = boundedDial({ folders: [own] });
  assert.ok(dial !== undefined);
  point(mine);
  const socket = dial(link);
  await new Promise((resolve) => socket.on("close", resolve));
  assert.equal(inside.connections, 1);
  point(others);
  assert.throws(() => dial(link), /leads outside of the folders/);
  assert.throws(() => dial(join(own, "nothing.sock")), { code: "ENOENT" });
  assert.equal(outside.connections, 0);
  assert.equal(boundedDial({}), undefined);
});

for (const [mesh, spec] of [
  ["SPIFFE", (socket: string) => ({ identity: { spiffe: { socket } } })],
  ["Istio", (socket: string) => ({ identity: { istio_sds: { socket } } })],
  ["Consul", () => ({ identity: { consul: { resolver: "r", service: "web" } } })],
] as const)
  test(`${mesh}: a socket that was swapped for one outside of the group's folders is not dialled again`, async (t) => {
    const { own, others, link, point } = place(t);
    const mine = join(own, "mine.sock");
    const [inside, outside] = [await startSocket(t, mine), await startSocket(t, others)];
    const yaml = (kind: string, name: string, body: unknown): string =>
      `---\n${JSON.stringify({ apiVersion: "getambassador.io/v2", kind, metadata: { name }, spec: body })}\n`;
    const folder = scratch(t, {
      "a.yaml":
        yaml("TLSContext", "c", spec(link)) +
        yaml("ConsulResolver", "r", { address: `unix://${link}`, datacenter: "dc1" }),
    });
    const { resources } = await loadGateway([folder], { engine: "node", ambassadorId: "default" });
    const store = new CredentialStore(systemClock);
    const logger = createLogger("silent");
    const wired = wireMesh({ store, clock: systemClock, logger, bounds: { folders: [own] } });
    t.after(() => {
      wired.stop();
      store.close();
    });
    point(mine);
    await wired.follow(resources);
    await until(() => inside.connections > 0);
    const said = (): string =>
      store
        .diagnostics()
        .map(({ message }) => message)
        .join("\n");
    await until(() => said() !== "");
    assert.doesNotMatch(said(), /outside/);
    point(others);
    await until(() => /leads outside of the folders that this group may use/.test(said()), 10_000, said);
    assert.equal(outside.connections, 0);
  });
