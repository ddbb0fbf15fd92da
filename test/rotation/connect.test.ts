import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import type { EngineName } from "../../src/model/capabilities.ts";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { startConnectService } from "../support/connect-service.ts";
import { consulResolverYaml, startConsul } from "../support/consul.ts";
import { ENGINES } from "../support/engine-under-test.ts";
import { startFakeAgent } from "../support/fake-agent.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";

/**
 * Each is another CA: Consul makes a new root where the key is to be of another kind. The agent renews leaves at some moment
 * of the half minute that follows, so that the new root is everywhere before.
 */
const ROTATIONS = [
  { bits: 384, withoutCrossSigning: false },
  { bits: 521, withoutCrossSigning: true },
];

/** Requests of one gateway, the newest, that must all be made with the new leaf. */
const ENOUGH = 20;

test("the roots of Consul Connect are rotated under load, and no request is lost on either engine", async () => {
  const consul = await startConsul();
  const shop = await startConnectService(consul, "shop");
  await consul.register({ service: "shop", port: shop.port, native: true });
  const gateways = new Map<EngineName, RunningGateway>();
  for (const engine of ENGINES) {
    const yaml =
      consulResolverYaml("consul-dc1", consul.address) +
      mappingYaml("shop", {
        prefix: `/${engine}/`,
        rewrite: "",
        service: "shop",
        resolver: "consul-dc1",
        tls: "ambassador-consul",
      });
    gateways.set(engine, await startGateway({ "all.yaml": yaml }, { engine }));
  }
  const revisions = async (): Promise<string> =>
    JSON.stringify(
      await Promise.all([...gateways.values()].map(async (gateway) => (await gateway.diag()).revision)),
    );
  const before = await revisions();
  const loads = [...gateways].map(([engine, { httpPort }]) =>
    startLoad(`http://127.0.0.1:${httpPort}/${engine}/`, 2),
  );
  try {
    for (const [index, { bits, withoutCrossSigning }] of ROTATIONS.entries()) {
      await consul.ask("/v1/connect/ca/configuration", "PUT", {
        Provider: "consul",
        Config: { PrivateKeyType: "ec", PrivateKeyBits: bits },
        ForceWithoutCrossSigning: withoutCrossSigning,
      });
      await shop.renewTrust();
      await until(
        async () => Math.min(...(await Promise.all([...gateways.values()].map(rootsOf)))) >= index + 2,
        20_000,
        "the new root in the gateways",
      );
      await shop.renew();
      const known = new Set(shop.seen.map((seen) => seen.issuer));
      let issuer = "";
      await until(
        async () => {
          const leaf = await consul.ask<{ CertPEM: string }>("/v1/agent/connect/ca/leaf/ambassador");
          ({ issuer } = new X509Certificate(leaf.CertPEM));
          return !known.has(issuer);
        },
        60_000,
        "the new leaf",
      );
      await until(
        () =>
          [...gateways.keys()].every((engine) => {
            const newest = shop.seen.filter(({ path }) => path.startsWith(`/${engine}/`)).slice(-ENOUGH);
            return newest.length === ENOUGH && newest.every((seen) => seen.issuer === issuer);
          }),
        20_000,
        "the new leaf in use",
      );
    }
    assert.equal(new Set(shop.seen.map(({ issuer }) => issuer)).size, ROTATIONS.length + 1);
    assert.equal(await revisions(), before, "a rotation compiles nothing");
  } finally {
    const results = await Promise.all(loads.map((load) => load.stop()));
    for (const gateway of gateways.values()) await gateway.stop();
    await shop.close();
    await consul.end();
    for (const { failures, requests } of results) {
      assert.deepEqual(failures, []);
      assert.ok(requests > 100, `only ${requests} requests`);
    }
  }
});

async function certificatesOf({ adminUrl }: RunningGateway) {
  const answer = await fetch(`${adminUrl}/ambassador/v0/diag/?json=true`);
  const page = (await answer.json()) as { certificates: { name: string; kind: string; chain: unknown[] }[] };
  return page.certificates;
}

/** How many CAs the gateway trusts. */
async function rootsOf(gateway: RunningGateway): Promise<number> {
  const certificates = await certificatesOf(gateway);
  const found = certificates.find(({ name, kind }) => name.startsWith("consul/") && kind === "trust");
  return found?.chain.length ?? 0;
}

for (const engine of ENGINES)
  test(`an identity is kept until nothing that serves needs it, however slow another issuer is (${engine})`, async () => {
    const consul = await startConsul();
    const shop = await startConnectService(consul, "shop");
    await consul.register({ service: "shop", port: shop.port, native: true });
    const silent = await startFakeAgent(() => {});
    const context = (name: string, resolver: string): string =>
      tlsContextYaml(name, { hosts: [], identity: { consul: { resolver, service: name } } });
    const mapping = (tls: string): string =>
      mappingYaml("shop", { prefix: "/", service: "shop", resolver: "consul-dc1", tls });
    const resolver = consulResolverYaml("consul-dc1", consul.address);
    const gateway = await startGateway(
      { "all.yaml": resolver + mapping("before") + context("before", "consul-dc1") },
      { engine },
    );
    const load = startLoad(`http://127.0.0.1:${gateway.httpPort}/`, 2);
    try {
      await gateway.replace(
        "all.yaml",
        resolver +
          mapping("after") +
          context("after", "consul-dc1") +
          consulResolverYaml("silent", silent.address) +
          context("waiting", "silent"),
      );
      await until(() => shop.seen.at(-1)?.client.endsWith("/svc/after") === true);
      const names = async (): Promise<string> =>
        (await certificatesOf(gateway)).map(({ name }) => name).join();
      await until(async () => !(await names()).includes("consul/consul-dc1/before"));
    } finally {
      const { failures } = await load.stop();
      await gateway.stop();
      await Promise.all([shop.close(), silent.close()]);
      await consul.end();
      assert.deepEqual(failures, []);
    }
  });
