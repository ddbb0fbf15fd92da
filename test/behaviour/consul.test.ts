import assert from "node:assert/strict";
import { mappingYaml } from "../support/certificates.ts";
import { type Consul, consulResolverYaml, startConsul } from "../support/consul.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";
import { after, before, describe, it } from "./engines.ts";

describe("ConsulResolver", () => {
  let consul: Consul;
  let upstreams: Upstream[] = [];
  let gateway: RunningGateway;

  before(async () => {
    consul = await startConsul();
    upstreams = await Promise.all(Array.from({ length: 4 }, () => startUpstream("cleartext")));
    gateway = await startGateway({ "all.yaml": yaml() });
  });
  after(async () => {
    await gateway.stop();
    await consul.end();
    await Promise.all(upstreams.map((each) => each.close()));
  });

  const yaml = (): string =>
    consulResolverYaml("consul-dc1", consul.address) +
    consulResolverYaml("tagged", consul.address, "  tags: [v2]\n") +
    consulResolverYaml("elsewhere", consul.address).replace("dc1\n", "elsewhere\n") +
    mappingYaml("shop", { prefix: "/shop/", service: "shop", resolver: "consul-dc1" }) +
    mappingYaml("port", { prefix: "/port/", service: "Shop:8080", resolver: "consul-dc1" }) +
    mappingYaml("tagged", { prefix: "/tagged/", service: "shop", resolver: "tagged" }) +
    mappingYaml("dc", { prefix: "/dc/", service: "shop", resolver: "elsewhere" }) +
    mappingYaml("dots", { prefix: "/dots/", service: "shop.default", resolver: "consul-dc1" }) +
    mappingYaml("address", {
      prefix: "/address/",
      service: `127.0.0.1:${upstreams[3]?.port}`,
      resolver: "consul-dc1",
    }) +
    mappingYaml("named", { prefix: "/named/", service: "named", resolver: "consul-dc1" }) +
    mappingYaml("none", { prefix: "/none/", service: "nobody", resolver: "consul-dc1" });
  const status = async (path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${gateway.httpPort}${path}`)).status;
  const register = (index: number, tags: readonly string[] = []): Promise<void> =>
    consul.register({ service: "shop", port: (upstreams[index] as Upstream).port, tags });
  const weigh = (index: number, Passing: number): Promise<void> => {
    const { port } = upstreams[index] as Upstream;
    return consul.register({ service: "shop", port, weights: { Passing, Warning: 1 } });
  };
  const deregister = (index: number): Promise<void> =>
    consul.deregister(`shop-${(upstreams[index] as Upstream).port}`);
  /** Which upstreams are asked, by 12 requests. */
  const reached = async (path: string): Promise<number[]> => {
    for (const each of upstreams) each.seen.length = 0;
    for (let turn = 0; turn < 12; turn++) await status(path);
    return upstreams.flatMap(({ seen }, index) => (seen.length > 0 ? [index] : []));
  };

  const said = async (): Promise<string> =>
    (await gateway.diag()).diagnostics
      .map(({ code, ...rest }) => `${code}: ${(rest as { message?: string }).message}`)
      .join("\n");

  it("reaches the healthy instances of a service, with the tags of the resolver alone", async () => {
    assert.equal(await status("/shop/"), 503, "nobody is registered");
    const { cause } = (await gateway.failure()) ?? { cause: "" };
    assert.match(cause, /no healthy instance of service shop in datacenter dc1|no_healthy_upstream/);
    await register(0);
    await register(1, ["v2"]);
    await until(async () => (await reached("/shop/")).join() === "0,1");
    await until(async () => (await reached("/tagged/")).join() === "1");
    assert.deepEqual(await reached("/address/"), [3], "an address is dialled as it is");
    assert.deepEqual(await reached("/port/"), [0, 1], "Consul knows the ports, and case does not count");
    await consul.setCheck(`shop-${(upstreams[0] as Upstream).port}`, "warn");
    await until(async () => (await reached("/shop/")).join() === "1");
    await consul.setCheck(`shop-${(upstreams[0] as Upstream).port}`, "pass");
    await until(async () => (await reached("/shop/")).join() === "0,1");
  });

  it("reaches an instance that is registered by its host name, beside one whose name is nobody's", async () => {
    const named = (address: string, at: number): Promise<void> =>
      consul.register({ service: "named", id: address, address, port: (upstreams[at] as Upstream).port });
    await named("nobody.invalid", 1);
    await until(async () => /endpoints-none: 1 of 1 healthy instances of service named/.test(await said()));
    assert.equal(await status("/named/"), 503);
    await named("localhost", 3);
    await until(async () => (await status("/named/")) === 200);
    assert.deepEqual(await reached("/named/"), [3]);
    await until(async () =>
      /endpoints-left-out: 1 of 2 healthy .*nobody\.invalid:\d+" \(ENOTFOUND/.test(await said()),
    );
    await consul.deregister("nobody.invalid");
    await until(async () => !(await said()).includes("nobody.invalid"));
  });

  it("answers 503 for what it cannot know, and says why", async () => {
    for (const path of ["/none/", "/dc/", "/dots/"]) assert.equal(await status(path), 503, path);
    const messages = await said();
    for (const expected of [
      /endpoints-none: no healthy instance of service nobody in datacenter dc1 in Consul/,
      /endpoints-unavailable: Consul at .* answers 500 \(No path to datacenter\), asked about service shop in datacenter elsewhere/,
      /service-invalid: shop.default has dots/,
      /service-port-ignored: .*8080/,
    ])
      assert.match(messages, expected);
  });

  it("loses no request while instances come and go, and compiles nothing", async () => {
    await until(async () => (await reached("/shop/")).join() === "0,1");
    const { revision } = await gateway.diag();
    const load = startLoad(`http://127.0.0.1:${gateway.httpPort}/shop/`, 4);
    try {
      for (let round = 0; round < 5; round++) {
        const [joins, leaves] = [(round + 2) % 3, round % 3];
        await register(joins);
        await until(() => (upstreams[joins] as Upstream).open > 0);
        await deregister(leaves);
        await until(() => (upstreams[leaves] as Upstream).open === 0);
      }
    } finally {
      // A load that goes on would keep the process.
      await load.stop();
    }
    const { requests, failures } = await load.stop();
    assert.deepEqual(failures, []);
    assert.ok(requests > 100, `only ${requests} requests`);
    assert.deepEqual((await gateway.diag()).revision, revision);
    await deregister(2);
    await register(0);
    await register(1);
    await until(async () => (await reached("/shop/")).join() === "0,1");
  });

  it("gives instances as much as they weigh, as soon as Consul says it", async () => {
    await until(async () => (await reached("/shop/")).join() === "0,1");
    const { revision } = await gateway.diag();
    /** How many of 100 requests each has. */
    const shares = async (): Promise<number[]> => {
      for (const each of upstreams) each.seen.length = 0;
      for (let turn = 0; turn < 100; turn++) await status("/shop/");
      return upstreams.map(({ seen }) => seen.length);
    };
    const isAbout = async ([first = 0, second = 0]: readonly number[]): Promise<boolean> => {
      const found = await shares();
      return Math.abs((found[0] ?? 0) - first) < 4 && Math.abs((found[1] ?? 0) - second) < 4;
    };
    await weigh(0, 9);
    await until(() => isAbout([90, 10]));
    await weigh(1, 3);
    await until(() => isAbout([75, 25]));
    await weigh(0, 1);
    await weigh(1, 1);
    await until(() => isAbout([50, 50]));
    assert.deepEqual((await gateway.diag()).revision, revision);
  });

  it("goes on with what it knows while the agent is gone, and follows the one that comes back", async () => {
    await until(async () => (await reached("/shop/")).join() === "0,1");
    await consul.end();
    const isSaid = async (): Promise<boolean> =>
      (await gateway.diag()).diagnostics.some(
        ({ code, effect }) => code === "endpoints-unavailable" && effect === "kept-previous",
      );
    await until(isSaid);
    assert.deepEqual(await reached("/shop/"), [0, 1]);
    await consul.start();
    await register(2);
    // Pauses between questions have doubled meanwhile, to some seconds, or more where the agent is slow to start.
    await until(async () => (await reached("/shop/")).join() === "2", 30_000);
    await until(async () => !(await isSaid()));
    await deregister(2);
    await until(async () => (await status("/shop/")) === 503, 20_000);
  });
});
