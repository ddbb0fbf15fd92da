import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { mkdtempSync } from "node:fs";
import type { ServerResponse } from "node:http";
import type { LookupAddress } from "node:dns";
import type { ServerOptions } from "node:https";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { createDnsEndpoints } from "../../../src/endpoints/dns.ts";
import { EndpointStore } from "../../../src/endpoints/store.ts";
import type { Environment } from "../../../src/mesh/consul/agent-environment.ts";
import { createConsulConnect } from "../../../src/mesh/consul/connect.ts";
import { createConsulServices } from "../../../src/mesh/consul/services.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { certificates } from "../../support/certificates.ts";
import {
  answerJson,
  type FakeAgent,
  instance,
  type Question,
  startFakeAgent,
} from "../../support/fake-agent.ts";
import { until } from "../../support/until.ts";

const NAME = "consul shop";
const origin = { subject: { kind: "ConsulResolver", namespace: "default", name: "consul-dc1" } };
const TOKEN = "5e7c1a52-0000-4000-8000-secret";

describe("the instances of a service", () => {
  let store: EndpointStore;
  let agent: FakeAgent;
  let services: ReturnType<typeof createConsulServices>;
  /** What DNS has: addresses, or the code of a failure. */
  let dns: Map<string, readonly string[] | string>;
  const lookup = async (host: string): Promise<LookupAddress[]> => {
    const found = dns.get(host) ?? "ENOTFOUND";
    if (typeof found === "string") throw Object.assign(new Error(found), { code: found });
    return found.map((address) => ({ address, family: isIP(address) }));
  };

  beforeEach(() => {
    store = new EndpointStore();
    dns = new Map();
    services = createConsulServices(store, createDnsEndpoints({ clock: systemClock, lookup }), systemClock);
  });
  afterEach(async () => {
    services.stop();
    await agent.close();
  });

  async function follow(
    answer: (question: Question, response: ServerResponse) => void,
    more: { tags?: string[]; env?: Environment; scheme?: string; tls?: ServerOptions } = {},
  ): Promise<void> {
    agent = await startFakeAgent(answer, more.tls);
    const { tags = [], env = {}, scheme = "" } = more;
    const address = `${scheme}${agent.address}`;
    await services.follow([{ name: NAME, address, datacenter: "dc2", service: "shop", tags, env, origin }]);
  }
  const ports = (): number[] => store.find(NAME).endpoints.map(({ port }) => port);
  const said = (): string[] => store.diagnostics().map(({ code, message }) => `${code}: ${message}`);

  it("are asked for by datacenter and tags, with the token, healthy ones alone", async () => {
    const list = [
      instance(1),
      instance(2, { address: "10.0.0.2" }),
      instance(3, { status: "warning" }),
      instance(0),
      instance(4, { address: "10.1" }),
      instance(1, { weight: 3 }),
      instance(1),
      instance(5, { weight: 0 }),
      instance(6, { weight: "9" }),
      instance(7, { weight: 1e9 }),
    ];
    await follow((_, response) => answerJson(response, list), {
      tags: ["v1", "v2"],
      env: { CONSUL_HTTP_TOKEN: TOKEN, CONSUL_NAMESPACE: "shops", CONSUL_PARTITION: "eu" },
    });
    assert.deepEqual(store.find(NAME).endpoints, [
      { address: "10.0.0.2", port: 2 },
      { address: "127.0.0.1", port: 1, weight: 3 },
      { address: "127.0.0.1", port: 5 },
      { address: "127.0.0.1", port: 6 },
      { address: "127.0.0.1", port: 7, weight: 65_535 },
    ]);
    const [first] = agent.questions;
    assert.equal(first?.path, "/v1/health/service/shop");
    assert.equal(first?.query.toString(), "passing=1&dc=dc2&tag=v1&tag=v2&ns=shops&partition=eu");
    assert.equal(first?.headers["x-consul-token"], TOKEN);
  });

  it("that nobody can dial are left out, which is said for as long as it is so", async () => {
    const named = [5, 4, 6, 7].map((port) => instance(port, { address: "host.example" }));
    const others = [instance(0), instance(8, { address: "10.1" }), instance(9, { address: "a b\n" })];
    const steps = [[instance(1), ...named], [instance(1)], [], others, [instance(1), ...named]];
    let step = 0;
    let told = 0;
    store.onFindings(() => told++);
    const waiting: ServerResponse[] = [];
    const next = (): void => {
      const response = waiting.shift();
      if (response !== undefined) answerJson(response, steps[step++] ?? [], step);
    };
    await follow((_, response) => {
      waiting.push(response);
      if (step === 0) next();
    });
    const leftOut =
      'endpoints-left-out: 4 of 5 healthy instances of service shop in datacenter dc2 cannot be dialled: "host.example:4" (ENOTFOUND), "host.example:5" (ENOTFOUND), "host.example:6" (ENOTFOUND) and 1 more';
    for (const expected of [
      [leftOut],
      [],
      ["endpoints-none: no healthy instance of service shop in datacenter dc2 in Consul"],
      [
        'endpoints-none: 3 of 3 healthy instances of service shop in datacenter dc2 cannot be dialled: "10.1:8" (neither an IP address nor a host name), "127.0.0.1:" (no port), "a b\\n:9" (neither an IP address nor a host name)',
      ],
      [leftOut],
    ]) {
      await until(() => said().join() === expected.join());
      assert.deepEqual(said(), expected);
      if (step === steps.length) break;
      const before = told;
      await until(() => waiting.length > 0);
      next();
      await until(() => told > before);
    }
  });

  it("that have a host name are where DNS says, and move with it", async () => {
    dns.set("db.example", ["10.0.0.7", "10.0.0.8"]).set("one.example", ["10.0.0.7"]);
    const list = [
      instance(5432, { address: "db.example", weight: 2 }),
      instance(80, { address: "one.example" }),
      instance(1),
    ];
    let asked = 0;
    await follow((_, response) => {
      if (asked++ === 0) answerJson(response, list);
    });
    const found = (): string[] =>
      store.find(NAME).endpoints.map(({ address, port, weight }) => `${address}:${port}*${weight ?? 1}`);
    assert.deepEqual(found(), ["10.0.0.7:5432*2", "10.0.0.7:80*1", "10.0.0.8:5432*2", "127.0.0.1:1*1"]);
    assert.deepEqual(said(), []);
    dns.set("db.example", ["10.0.0.9"]);
    await until(() => found().includes("10.0.0.9:5432*2"), 20_000);
    assert.deepEqual(found(), ["10.0.0.7:80*1", "10.0.0.9:5432*2", "127.0.0.1:1*1"]);
    assert.equal(asked, 2, "Consul is asked for what it knows");
  });

  it("are waited for by index; one that goes back begins anew", async () => {
    const indices = [7, 9, 3, 5];
    await follow((question, response) => {
      const index = indices[agent.questions.length - 1];
      if (index === undefined) return;
      answerJson(response, [instance(Number(question.query.get("index") ?? 1))], index);
    });
    await until(() => agent.questions.length === 5);
    assert.deepEqual(
      agent.questions.map(({ query }) => query.get("index")),
      [null, "7", "9", null, "5"],
    );
    assert.equal(agent.questions[1]?.query.get("wait"), "60s");
    assert.equal(agent.questions[0]?.query.get("wait"), null);
  });

  for (const [what, isNew] of [
    ["never waits", false],
    ["has something new each time", true],
  ] as const)
    it(`are not asked for in a hot loop by an agent that ${what}`, async () => {
      await follow((_, response) => {
        const count = agent.questions.length;
        answerJson(response, [instance(isNew ? count : 1)], isNew ? count : 1);
      });
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.ok(agent.questions.length < 12, `${agent.questions.length} questions in 2.5 s`);
      if (isNew) await until(() => ports()[0] === agent.questions.length);
    });

  const LIES: Readonly<Record<string, (response: ServerResponse) => void>> = {
    garbage: (response) => response.setHeader("x-consul-index", "5").end("\u0000{[garbage"),
    "other JSON": (response) => answerJson(response, { Node: {}, Service: {} }),
    "a list of something else": (response) => answerJson(response, [{ Name: "shop" }]),
    null: (response) => answerJson(response, null),
    "a page": (response) => response.writeHead(502).end("<html>bad gateway</html>"),
    "a redirect": (response) => response.writeHead(301, { location: "http://127.0.0.1:1/" }).end(),
    "a list without end": (response) => {
      response.setHeader("x-consul-index", "5");
      const more = (): void => {
        while (!response.destroyed && response.write(" ".repeat(1 << 20)));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    },
    "half an answer": (response) => {
      response.setHeader("content-length", "100").write("[");
      setTimeout(() => response.destroy(), 20);
    },
    nothing: (response) => response.destroy(),
  };
  for (const [what, lie] of Object.entries(LIES)) {
    it(`stay as they are where the agent answers with ${what}, which is said`, async () => {
      let isLying = false;
      await follow((question, response) => {
        if (isLying) lie(response);
        else answerJson(response, [instance(1)], Number(question.query.get("index") ?? 0) + 1);
      });
      assert.deepEqual(ports(), [1]);
      isLying = true;
      await until(() => said().some((each) => each.startsWith("endpoints-unavailable")));
      assert.deepEqual(ports(), [1]);
      assert.match(
        said().join(),
        /asked about service shop in datacenter dc2; the addresses last known \(1\) stay/,
      );
      const asked = agent.questions.length;
      isLying = false;
      await until(() => said().length === 0);
      assert.ok(agent.questions.length <= asked + 3, "it was not asked all the time");
    });
  }

  it("that nobody is are told apart from those that the token may not see", async () => {
    let isFiltered = false;
    await follow((question, response) => {
      if (isFiltered) response.setHeader("x-consul-results-filtered-by-acls", "true");
      answerJson(response, isFiltered ? [] : [instance(1)], Number(question.query.get("index") ?? 0) + 1);
      isFiltered = true;
    });
    await until(() => store.find(NAME).endpoints.length === 0);
    assert.deepEqual(said(), [
      "endpoints-none: Consul's ACLs show no healthy instance of service shop in datacenter dc2 to this token",
    ]);
  });

  it("keep the token out of what is said, whatever the agent repeats", async () => {
    await follow((_, response) => response.writeHead(403).end(`ACL not found: ${TOKEN}`), {
      env: { CONSUL_HTTP_TOKEN: TOKEN },
    });
    assert.match(said().join(), /answers 403 \(ACL not found: …\)/);
    assert.equal(JSON.stringify([store.diagnostics(), store.find(NAME)]).includes(TOKEN), false);
  });

  it("are asked for over TLS, with the certificate and the token of the environment's files", async () => {
    const { ca, server, client, stranger } = await certificates();
    const folder = mkdtempSync(join(tmpdir(), "credence-consul-"));
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    const env = {
      CONSUL_CACERT: file("ca.pem", ca.certificate),
      CONSUL_CLIENT_CERT: file("client.pem", client.certificate),
      CONSUL_CLIENT_KEY: file("client.key", client.privateKey),
      CONSUL_HTTP_TOKEN: "another",
      CONSUL_HTTP_TOKEN_FILE: file("token", `${TOKEN}\n`),
      CONSUL_HTTP_SSL: "true",
    };
    const tls = {
      cert: server.certificate,
      key: server.privateKey,
      ca: ca.certificate,
      requestCert: true,
      rejectUnauthorized: true,
    };
    const answer = (_: Question, response: ServerResponse): void => answerJson(response, [instance(1)]);
    try {
      await follow(answer, { env, tls });
      assert.deepEqual(ports(), [1], said().join());
      assert.equal(agent.questions[0]?.headers["x-consul-token"], TOKEN);
      // The scheme says the same as CONSUL_HTTP_SSL.
      services.stop();
      await agent.close();
      const untrusted = {
        ...env,
        CONSUL_HTTP_SSL: "",
        CONSUL_CACERT: file("other.pem", stranger.certificate),
      };
      await services.follow([]);
      await follow(answer, { env: untrusted, tls, scheme: "https://" });
      assert.match(said().join(), /UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED/);
      assert.deepEqual(agent.questions, []);
      await services.follow([]);
      await agent.close();
      await follow(answer, {
        env: { ...untrusted, CONSUL_HTTP_SSL_VERIFY: "false" },
        tls,
        scheme: "https://",
      });
      assert.deepEqual(ports(), [1], said().join());
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("are asked for where the environment says, which must say it", async () => {
    agent = await startFakeAgent((_, response) => answerJson(response, [instance(1)]));
    const [host, port] = agent.address.split(":") as [string, string];
    const wanted = (name: string, address: string, env: Environment) => ({
      name,
      address,
      datacenter: "dc1",
      service: "shop",
      tags: [],
      env,
      origin,
    });
    await services.follow([
      wanted("set", `$HOST_IP:${"$"}{PORT}`, { HOST_IP: host, PORT: port }),
      wanted("unset", "$HOST_IP:8500", {}),
      wanted("path", "http://consul/v2", {}),
    ]);
    assert.equal(store.find("set").endpoints.length, 1);
    assert.match(store.find("unset").missing ?? "", /the environment has no HOST_IP/);
    assert.match(store.find("path").missing ?? "", /is no address of an agent/);
  });
});

describe("an identity of Connect", () => {
  const CREDENTIAL = "consul/consul-dc1/gateway";

  it("is used until its agent has a better one: what is no leaf, no root or no pair changes nothing", async () => {
    const { ca, client, server, stranger } = await certificates();
    const root = { Roots: [{ RootCert: ca.certificate, Active: true }] };
    const leaf = { CertPEM: client.certificate, PrivateKeyPEM: client.privateKey };
    let [roots, leaves]: unknown[] = [root, leaf];
    const agent = await startFakeAgent(({ path, query }, response) =>
      answerJson(response, path.endsWith("/roots") ? roots : leaves, Number(query.get("index") ?? 0) + 1),
    );
    const store = new CredentialStore(systemClock);
    const connect = createConsulConnect(store, systemClock);
    const said = (): string =>
      store
        .diagnostics()
        .map(({ code, message }) => `${code}: ${message}`)
        .join("\n");
    const inUse = (): string | undefined => store.credential(CREDENTIAL)?.facts[0]?.subject;
    try {
      await connect.follow([
        { name: CREDENTIAL, address: agent.address, service: "gateway", env: {}, origin },
      ]);
      assert.equal(inUse(), "CN=gateway", said());
      assert.equal(store.trust(CREDENTIAL)?.anchors.length, 1);
      assert.deepEqual(
        agent.questions
          .slice(0, 2)
          .map(({ path }) => path)
          .sort(),
        ["/v1/agent/connect/ca/leaf/gateway", "/v1/agent/connect/ca/roots"],
      );
      const lies: [unknown, unknown, RegExp][] = [
        [root, { CertPEM: client.certificate }, /issuer-unavailable: .*no leaf certificate/],
        [{ Roots: [] }, leaf, /issuer-unavailable: .*no list of Connect's roots/],
        [root, { ...leaf, PrivateKeyPEM: server.privateKey }, /private-key-mismatch/],
        [root, { ...leaf, CertPEM: "garbage" }, /pem-invalid/],
        [{ Roots: [{ RootCert: "garbage" }] }, leaf, /pem-invalid|trust-/],
      ];
      for (const [badRoots, badLeaf, expected] of lies) {
        [roots, leaves] = [badRoots, badLeaf];
        await until(() => expected.test(said()), 20_000, `${expected}`);
        assert.equal(inUse(), "CN=gateway");
        assert.equal(store.trust(CREDENTIAL)?.anchors.length, 1);
        [roots, leaves] = [root, leaf];
        await until(() => said() === "", 20_000, "all is well again");
      }
      roots = { Roots: [...root.Roots, { RootCert: stranger.certificate, Active: false }] };
      await until(() => store.trust(CREDENTIAL)?.anchors.length === 2);
      assert.equal(store.credential(CREDENTIAL)?.generation, 1, "a root more is no rotation of the leaf");
      await connect.follow([]);
      assert.equal(inUse(), undefined, "nobody wants it");
    } finally {
      connect.stop();
      store.close();
      await agent.close();
    }
  });
});
