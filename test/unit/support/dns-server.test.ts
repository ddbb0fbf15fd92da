import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { after, before, test } from "node:test";
import { type DnsServer, startDnsServer } from "../../support/dns-server.ts";

let server: DnsServer;
const resolver = new Resolver({ timeout: 1000, tries: 1 });

before(async () => {
  server = await startDnsServer({
    "svc.test": ["127.0.0.1", "127.0.0.2", "::1", "fe80::1:2"],
    "old.test": ["127.0.0.9"],
  });
  resolver.setServers([`${server.address}:${server.port}`]);
});
after(() => server.close());

test("gives the addresses of each family", async () => {
  assert.deepEqual((await resolver.resolve4("svc.test")).sort(), ["127.0.0.1", "127.0.0.2"]);
  assert.deepEqual((await resolver.resolve6("SVC.test")).sort(), ["::1", "fe80::1:2"]);
  await assert.rejects(resolver.resolve6("old.test"), { code: "ENODATA" });
});

test("a name that is not there does not exist, until it is added", async () => {
  await assert.rejects(resolver.resolve4("new.test"), { code: "ENOTFOUND" });
  server.names.set("new.test", ["127.0.0.3"]);
  assert.deepEqual(await resolver.resolve4("new.test"), ["127.0.0.3"]);
});
