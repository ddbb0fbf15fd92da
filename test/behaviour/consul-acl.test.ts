import assert from "node:assert/strict";
import { mappingYaml } from "../support/certificates.ts";
import { startConnectService } from "../support/connect-service.ts";
import { consulResolverYaml, startConsul } from "../support/consul.ts";
import { startGateway } from "../support/gateway.ts";
import { until } from "../support/until.ts";
import { it } from "./engines.ts";

const MANAGEMENT = "11111111-2222-3333-4444-555555555555";
const RULES = `service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }`;

it("an agent with ACLs is asked with the token of the environment, and what it may not is said", async () => {
  const consul = await startConsul({ token: MANAGEMENT });
  const shop = await startConnectService(consul, "shop");
  await consul.register({ service: "shop", port: shop.port, native: true });
  const tokenWith = async (name: string, rules: string): Promise<string> => {
    await consul.ask("/v1/acl/policy", "PUT", { Name: name, Rules: rules });
    const { SecretID } = await consul.ask<{ SecretID: string }>("/v1/acl/token", "PUT", {
      Policies: [{ Name: name }],
    });
    return SecretID;
  };
  const reader = await tokenWith("reader", RULES);
  const gateways = await tokenWith("gateway", `${RULES} service "ambassador" { policy = "write" }`);
  const yaml =
    consulResolverYaml("consul-dc1", consul.address) +
    mappingYaml("shop", { prefix: "/", service: "shop", resolver: "consul-dc1", tls: "ambassador-consul" }) +
    mappingYaml("plain", { prefix: "/plain/", service: "plain", resolver: "consul-dc1" });
  const run = async (
    token: string,
    test: (status: () => Promise<number>, said: () => Promise<string>) => Promise<void>,
  ): Promise<void> => {
    process.env.CONSUL_HTTP_TOKEN = token;
    const gateway = await startGateway({ "all.yaml": yaml });
    try {
      await test(
        async () => (await fetch(`http://127.0.0.1:${gateway.httpPort}/`)).status,
        async () => {
          const text = JSON.stringify(await gateway.diag());
          assert.equal(text.includes(token), false, "a token is nobody's business");
          return text;
        },
      );
    } finally {
      delete process.env.CONSUL_HTTP_TOKEN;
      await gateway.stop();
    }
  };
  try {
    await run(gateways, async (status) => {
      assert.equal(await status(), 200);
      assert.match(shop.seen[0]?.client ?? "", /svc\/ambassador$/);
    });
    await run(reader, async (status, said) => {
      assert.equal(await status(), 503);
      assert.match(await said(), /issuer-unavailable.*answers 403 \(.*[Pp]ermission denied/);
    });
    await run("99999999-2222-3333-4444-555555555555", async (status, said) => {
      assert.equal(await status(), 503);
      await until(async () =>
        /endpoints-unavailable.*answers 403 \(ACL not found\), asked about service plain/.test(await said()),
      );
    });
  } finally {
    await shop.close();
    await consul.end();
  }
});
