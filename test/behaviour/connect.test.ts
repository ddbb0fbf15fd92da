import assert from "node:assert/strict";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { type Consul, consulResolverYaml, startConsul } from "../support/consul.ts";
import { type ConnectService, startConnectService } from "../support/connect-service.ts";
import { freePort } from "../support/free-port.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { tcpMappingYaml } from "../support/tcp.ts";
import { until } from "../support/until.ts";
import { after, before, describe, it } from "./engines.ts";

describe("Consul Connect", () => {
  let consul: Consul;
  let trustDomain: string;
  let shop: ConnectService;
  let impostor: ConnectService;

  before(async () => {
    consul = await startConsul();
    ({ TrustDomain: trustDomain } = await consul.ask<{ TrustDomain: string }>("/v1/agent/connect/ca/roots"));
    shop = await startConnectService(consul, "shop");
    impostor = await startConnectService(consul, "other");
    await consul.register({ service: "shop", port: shop.port, native: true });
    await consul.register({ service: "shop-sidecar-proxy", port: shop.port });
    await consul.register({ service: "victim", port: impostor.port, native: true });
  });
  after(async () => {
    await Promise.all([shop.close(), impostor.close()]);
    await consul.end();
  });

  async function withGateway(yaml: string, run: (gateway: RunningGateway) => Promise<void>): Promise<void> {
    shop.seen.length = 0;
    const gateway = await startGateway({
      "all.yaml": consulResolverYaml("consul-dc1", consul.address) + yaml,
    });
    try {
      await run(gateway);
    } finally {
      await gateway.stop();
    }
  }
  const status = async (gateway: RunningGateway): Promise<number> =>
    (await fetch(`http://127.0.0.1:${gateway.httpPort}/shop/`)).status;
  const serves = async (gateway: RunningGateway): Promise<void> => {
    const seen = await status(gateway);
    if (seen !== 200) assert.fail(`${seen}: ${JSON.stringify(await gateway.failure())}`);
  };
  const asked = (service: string, more: Record<string, unknown> = {}): string =>
    mappingYaml("shop", {
      prefix: "/shop/",
      service,
      resolver: "consul-dc1",
      tls: "ambassador-consul",
      load_balancer: { policy: "round_robin" },
      ...more,
    });
  const errors = async (gateway: RunningGateway): Promise<string[]> =>
    (await gateway.diag()).diagnostics
      .filter(({ code }) => code !== "service-port-ignored")
      .map(({ code, ...rest }) => `${code}: ${(rest as { message?: string }).message}`);

  it("does what the page of 1.14 writes, for sidecars, and checks them", async () => {
    const context = tlsContextYaml("ambassador-consul", { hosts: [], secret: "ambassador-consul-connect" });
    await withGateway(asked("shop-sidecar-proxy") + context, async (gateway) => {
      await serves(gateway);
      assert.deepEqual(
        shop.seen.map(({ client, sni }) => ({ client, sni })),
        [
          {
            client: `URI:spiffe://${trustDomain}/ns/default/dc/dc1/svc/ambassador`,
            sni: `shop.default.dc1.internal.${trustDomain}`,
          },
        ],
      );
      assert.deepEqual(await errors(gateway), []);
    });
  });

  it("needs no TLSContext, and reaches services that speak Connect themselves", () =>
    withGateway(asked("https://shop:8443"), async (gateway) => {
      await serves(gateway);
      assert.match(shop.seen[0]?.client ?? "", /svc\/ambassador$/);
      assert.deepEqual(await errors(gateway), []);
    }));

  it("carries bytes of a TCPMapping as well", async () => {
    const port = await freePort();
    const spec = { port, service: "shop-sidecar-proxy", resolver: "consul-dc1", tls: "ambassador-consul" };
    await withGateway(tcpMappingYaml("tcp", spec), async () => {
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "ok");
      assert.equal(shop.seen[0]?.sni, `shop.default.dc1.internal.${trustDomain}`);
    });
  });

  it("is the service that the Secret's name says", async () => {
    const context = tlsContextYaml("connect", { hosts: [], secret: "ambassador-blue-consul-connect" });
    await withGateway(asked("shop", { tls: "connect" }) + context, async (gateway) => {
      await serves(gateway);
      assert.match(shop.seen[0]?.client ?? "", /svc\/ambassador-blue$/);
    });
  });

  it("is the service that identity says", async () => {
    const context = tlsContextYaml("connect", {
      hosts: [],
      identity: { consul: { resolver: "consul-dc1", service: "gateway" } },
    });
    await withGateway(asked("shop", { tls: "connect" }) + context, async (gateway) => {
      await serves(gateway);
      assert.match(shop.seen[0]?.client ?? "", /svc\/gateway$/);
    });
  });

  it("does not speak to an instance that has the certificate of another service", () =>
    withGateway(asked("victim"), async (gateway) => {
      assert.equal(await status(gateway), 503);
      const failure = await gateway.failure();
      assert.equal(failure?.reason, "upstream_certificate_name_mismatch", JSON.stringify(failure));
      assert.deepEqual(impostor.seen, []);
    }));

  it("speaks to any of the trust domain where verify says so", async () => {
    const context = tlsContextYaml("ambassador-consul", {
      hosts: [],
      secret: "ambassador-consul-connect",
      verify: { trust_domains: [trustDomain] },
    });
    await withGateway(asked("victim") + context, async (gateway) => {
      await serves(gateway);
      impostor.seen.length = 0;
    });
  });

  it("goes to several datacenters each with the identity of its own agent", async () => {
    const other = await startConsul();
    const there = await startConnectService(other, "shop");
    await other.register({ service: "shop", port: there.port, native: true });
    const yaml =
      asked("shop") +
      consulResolverYaml("other", other.address) +
      asked("shop", { prefix: "/there/", resolver: "other" }).replace('"name":"shop"', '"name":"there"');
    try {
      await withGateway(yaml, async (gateway) => {
        const to = async (path: string): Promise<number> =>
          (await fetch(`http://127.0.0.1:${gateway.httpPort}${path}`)).status;
        assert.deepEqual([await to("/shop/"), await to("/there/")], [200, 200]);
        const domains = [shop, there].map(
          ({ seen }) => /spiffe:\/\/([^/]+)/.exec(seen[0]?.client ?? "")?.[1],
        );
        assert.equal(domains[0], trustDomain);
        assert.notEqual(domains[1], trustDomain);
      });
    } finally {
      await there.close();
      await other.end();
    }
  });

  it("goes on with what its agent gave while that is gone, and takes another trust domain from the next one", async () => {
    const own = await startConsul();
    let service = await startConnectService(own, "shop");
    const yaml = asked("shop").replaceAll("consul-dc1", "own") + consulResolverYaml("own", own.address);
    try {
      await own.register({ service: "shop", port: service.port, native: true });
      await withGateway(yaml, async (gateway) => {
        assert.equal(await status(gateway), 200);
        await own.end();
        await until(async () => (await errors(gateway)).join().includes("issuer-unavailable"));
        assert.equal(await status(gateway), 200);
        const before = service.seen.at(-1)?.client;
        await service.close();
        // An agent in development mode begins with nothing: another CA, another trust domain, another catalog.
        await own.start();
        service = await startConnectService(own, "shop");
        await own.register({ service: "shop", port: service.port, native: true });
        await until(async () => (await status(gateway)) === 200, 60_000, "the new agent's mesh");
        assert.notEqual(service.seen.at(-1)?.client, before);
        await until(async () => (await errors(gateway)).length === 0);
      });
    } finally {
      await service.close();
      await own.end();
    }
  });

  it("closes the route where the resolver is not there or the agent does not issue, and says why", async () => {
    const context = tlsContextYaml("connect", { hosts: [], identity: { consul: { resolver: "nobody" } } });
    await withGateway(asked("shop", { tls: "connect" }) + context, async (gateway) => {
      assert.equal(await status(gateway), 503);
      assert.match((await errors(gateway)).join("\n"), /issuer-unavailable: there is no ConsulResolver/);
    });
  });
});
