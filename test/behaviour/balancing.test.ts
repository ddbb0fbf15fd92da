import assert from "node:assert/strict";
import { mappingYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { type Hosts, startHosts } from "../support/hosts.ts";
import { after, before, describe, it } from "./engines.ts";

describe("load balancing over the addresses of a service", () => {
  let hosts: Hosts;
  before(async () => {
    hosts = await startHosts(4);
  });
  after(() => hosts.close());

  async function behind(
    load_balancer: Record<string, unknown> | undefined,
    run: (ask: (headers?: Record<string, string>) => Promise<Response>) => Promise<void>,
  ): Promise<void> {
    const gateway: RunningGateway = await startGateway(
      {
        "m.yaml": mappingYaml("m", { prefix: "/", service: `svc.test:${hosts.port}`, load_balancer }),
      },
      { hosts: { "svc.test": hosts.addresses } },
    );
    try {
      await run((headers = {}) => fetch(`http://127.0.0.1:${gateway.httpPort}/`, { headers }));
    } finally {
      await gateway.stop();
    }
  }

  const textOf = async (answer: Promise<Response>): Promise<string> => (await answer).text();

  it("round robin without a word", () =>
    behind(undefined, async (ask) => {
      const used = new Set<string>();
      for (let turn = 0; turn < 4; turn++) used.add(await textOf(ask()));
      assert.deepEqual([...used].sort(), [...hosts.addresses]);
    }));

  it("least_request spreads requests at once", () =>
    behind({ policy: "least_request" }, async (ask) => {
      const used = await Promise.all(Array.from({ length: 32 }, () => textOf(ask())));
      assert.equal(new Set(used).size, 4);
    }));

  for (const policy of ["ring_hash", "maglev"]) {
    it(`${policy} by header: the same value, the same address; without it any`, () =>
      behind({ policy, header: "X-User" }, async (ask) => {
        const spread = new Set<string>();
        for (const user of ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]) {
          const [first, second] = [
            await textOf(ask({ "x-user": user })),
            await textOf(ask({ "x-user": user })),
          ];
          assert.equal(first, second);
          spread.add(first);
        }
        assert.ok(spread.size > 1);
        const without = new Set<string>();
        for (let turn = 0; turn < 24; turn++) without.add(await textOf(ask()));
        assert.ok(without.size > 1);
      }));
  }

  it("by source_ip: one client, one address", () =>
    behind({ policy: "maglev", source_ip: true }, async (ask) => {
      const used = new Set<string>();
      for (let turn = 0; turn < 8; turn++) used.add(await textOf(ask()));
      assert.equal(used.size, 1);
    }));

  it("by cookie with a ttl: it is made where it is missing, and keeps its client where it was", () =>
    behind({ policy: "ring_hash", cookie: { name: "sticky", ttl: "60s", path: "/" } }, async (ask) => {
      const spread = new Set<string>();
      for (let client = 0; client < 8; client++) {
        const first = await ask();
        const cookie = /^sticky="([0-9a-f]{16})"; Max-Age=60; Path=\/; HttpOnly$/.exec(
          first.headers.get("set-cookie") ?? "",
        );
        assert.ok(cookie !== null, String(first.headers.get("set-cookie")));
        const address = await first.text();
        spread.add(address);
        for (const header of [`sticky=${cookie[1]}`, `other=1; sticky="${cookie[1]}"`]) {
          const next = await ask({ cookie: header });
          assert.equal(next.headers.get("set-cookie"), null);
          assert.equal(await next.text(), address);
        }
      }
      assert.ok(spread.size > 1);
    }));

  it("by cookie without a ttl: it is the upstream's to set", () =>
    behind({ policy: "ring_hash", cookie: { name: "sticky" } }, async (ask) => {
      const answer = await ask();
      await answer.text();
      assert.equal(answer.headers.get("set-cookie"), null);
    }));
});
