import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createNameServers, type NameServers } from "../../../src/endpoints/name-servers.ts";
import { candidatesOf, searchOf } from "../../../src/endpoints/resolv-conf.ts";
import type { DnsSettings } from "../../../src/model/cluster.ts";
import { type DnsServer, startDnsServer } from "../../support/dns-server.ts";

let dns: DnsServer;
let directory: string;
let now = 0;
let servers: NameServers;

before(async () => {
  dns = await startDnsServer({
    "svc.team.example": ["10.0.0.1"],
    "svc.other.example": ["10.0.0.2"],
    "both.example": ["10.0.0.3", "::3"],
    "six.example": ["::6"],
    "written.example": ["10.0.0.9"],
    localhost: ["10.0.0.9"],
  });
  directory = mkdtempSync(join(tmpdir(), "credence-test-"));
  write(
    "hosts",
    "10.0.0.4 written.example alias # comment\n::4\tWritten.Example\n# 10.0.0.5 not\nbroken x\n",
  );
  write(
    "resolv.conf",
    "nameserver 192.0.2.1\nsearch Team.example. other.example\noptions timeout:1 ndots:2\n",
  );
  servers = createNameServers({
    servers: [`${dns.address}:${dns.port}`],
    hostsFile: join(directory, "hosts"),
    resolvConf: join(directory, "resolv.conf"),
    now: () => now,
  });
});

after(async () => {
  servers.stop();
  await dns.close();
  rmSync(directory, { recursive: true });
});

function write(file: string, text: string): void {
  writeFileSync(join(directory, file), text);
}

async function addresses(host: string, settings?: DnsSettings): Promise<string[]> {
  return (await servers.lookup(host, settings)).map(({ address }) => address);
}

describe("name servers", () => {
  it("the hosts file comes first, and tells no TTL", async () => {
    assert.deepEqual(await servers.lookup("written.example", undefined), [
      { address: "10.0.0.4", family: 4 },
      { address: "::4", family: 6 },
    ]);
    assert.deepEqual(await addresses("ALIAS"), ["10.0.0.4"]);
    assert.deepEqual(await addresses("written.example."), ["10.0.0.4", "::4"]);
  });

  it("localhost is this machine, whatever the name servers say", async () => {
    assert.deepEqual(await addresses("localhost"), ["127.0.0.1", "::1"]);
    assert.deepEqual(await addresses("app.localhost"), ["127.0.0.1", "::1"]);
  });

  it("tells TTLs", async () => {
    assert.deepEqual(await servers.lookup("svc.other.example", undefined), [
      { address: "10.0.0.2", family: 4, ttl: 1 },
    ]);
  });

  it("goes through the search list until a name exists", async () => {
    assert.deepEqual(await addresses("svc"), ["10.0.0.1"]);
    await assert.rejects(addresses("svc."), { code: "ENOTFOUND" });
    await assert.rejects(addresses("none"), { code: "ENOTFOUND" });
  });

  it("a name that is not answered for is not taken for another one", async () => {
    dns.silent.set("svc.team.example", []);
    await assert.rejects(addresses("svc"), { code: "ETIMEOUT" });
    dns.silent.delete("svc.team.example");
  });

  it("IPv6 is for names that have nothing else, unless the settings say otherwise", async () => {
    assert.deepEqual(await addresses("both.example"), ["10.0.0.3"]);
    assert.deepEqual(await addresses("six.example"), ["::6"]);
    assert.deepEqual(await addresses("both.example", { family: "v6" }), ["::3"]);
    await assert.rejects(addresses("svc.team.example", { family: "v6" }), { code: /ENODATA|ENOTFOUND/ });
    assert.deepEqual(await addresses("both.example", { family: "both" }), ["::3"]);
    assert.deepEqual(await addresses("svc.team.example", { family: "both" }), ["10.0.0.1"]);
  });

  it("names that are not answered for keep no other one waiting", async () => {
    const lost = Array.from({ length: 200 }, (_, index) => `lost-${index}.team.example`);
    for (const name of lost) dns.silent.set(name, []);
    let isOver = false;
    const all = Promise.allSettled(lost.map((name) => addresses(name))).then(() => {
      isOver = true;
    });
    assert.deepEqual(await addresses("svc.team.example"), ["10.0.0.1"]);
    assert.equal(isOver, false);
    servers.stop();
    await all;
  });

  it("both files are followed", async () => {
    now += 1_000;
    write("hosts", "10.0.0.5 written.example\n");
    write("resolv.conf", "search other.example\n");
    assert.deepEqual(await addresses("written.example"), ["10.0.0.5"]);
    assert.deepEqual(await addresses("svc"), ["10.0.0.2"]);
    now += 1_000;
    rmSync(join(directory, "hosts"));
    assert.deepEqual(await addresses("written.example"), ["10.0.0.9"]);
  });
});

describe("the search list of resolv.conf", () => {
  it("the last of `search` and `domain` counts", () => {
    assert.deepEqual(searchOf("search a b\ndomain c d\noptions ndots:5 rotate\n"), {
      domains: ["c"],
      ndots: 5,
    });
    assert.deepEqual(searchOf("domain c\n search\ta  B.\n"), { domains: ["a", "b"], ndots: 1 });
    assert.deepEqual(searchOf("; search a\n#search b\noptions ndots:99"), { domains: [], ndots: 15 });
    assert.deepEqual(searchOf(null), { domains: [], ndots: 1 });
  });

  it("a name with enough dots is tried as it is first, one that ends in a dot alone", () => {
    const list = { domains: ["a", "b"], ndots: 2 };
    assert.deepEqual(candidatesOf("x", list), ["x.a", "x.b", "x"]);
    assert.deepEqual(candidatesOf("x.y.z", list), ["x.y.z", "x.y.z.a", "x.y.z.b"]);
    assert.deepEqual(candidatesOf("x.y.", list), ["x.y."]);
  });
});
