import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, it } from "node:test";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { createDnsEndpoints } from "../../../src/endpoints/dns.ts";
import { EndpointStore } from "../../../src/endpoints/store.ts";
import { createConsulConnect } from "../../../src/mesh/consul/connect.ts";
import { createConsulServices } from "../../../src/mesh/consul/services.ts";
import type { Clock } from "../../../src/telemetry/clock.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { handClock } from "../../support/clock.ts";
import { type Consul, startConsul } from "../../support/consul.ts";
import {
  answerJson,
  type FakeAgent,
  instance,
  type Question,
  startFakeAgent,
} from "../../support/fake-agent.ts";
import { until } from "../../support/until.ts";

// Between two questions there is a pause, up to two seconds. An agent that is another one after it would keep a question with the
// index of the one before for a minute, so time stands still here until the agent has changed.

const SHOP = "consul shop";
const GATEWAY = "consul/dc1/gateway";
const origin = { subject: { kind: "ConsulResolver", namespace: "default", name: "consul-dc1" } };
const LONGEST_PAUSE_MS = 2_000;

let time: ReturnType<typeof handClock>;
/** Between questions, each as it began. */
let pauses: number[];
let clock: Clock;
let store: EndpointStore;
let credentials: CredentialStore;
let services: ReturnType<typeof createConsulServices>;
let connect: ReturnType<typeof createConsulConnect>;

beforeEach(() => {
  time = handClock();
  pauses = [];
  clock = {
    now: time.now,
    after(milliseconds, run) {
      if (milliseconds <= LONGEST_PAUSE_MS) pauses.push(milliseconds);
      return time.after(milliseconds, run);
    },
  };
  store = new EndpointStore();
  credentials = new CredentialStore(systemClock);
  services = createConsulServices(
    store,
    createDnsEndpoints({ clock, lookup: () => new Promise(() => {}) }),
    clock,
  );
  connect = createConsulConnect(credentials, clock);
});
afterEach(() => {
  services.stop();
  connect.stop();
  credentials.close();
});

const followShop = (address: string): Promise<void> =>
  services.follow([{ name: SHOP, address, datacenter: "dc1", service: "shop", tags: [], env: {}, origin }]);
const followGateway = (address: string): Promise<void> =>
  connect.follow([{ name: GATEWAY, address, service: "gateway", env: {}, origin }]);
const ports = (): number[] => store.find(SHOP).endpoints.map(({ port }) => port);

describe("whoever answers over a new connection", () => {
  let agent: FakeAgent;
  afterEach(() => agent.close());

  const ask = async (answer: (question: Question, response: ServerResponse) => void): Promise<void> => {
    agent = await startFakeAgent(answer);
    await followShop(agent.address);
    await until(() => pauses.length === 1);
  };

  it("is asked without the index of the one before, and then with its own", async () => {
    let index = 900;
    await ask((question, response) => {
      // As Consul: what is not there yet is waited for.
      if (Number(question.query.get("index") ?? 0) < index) answerJson(response, [instance(index)], index);
    });
    await agent.cut();
    index = 7;
    time.move(LONGEST_PAUSE_MS);
    await until(() => ports()[0] === 7);
    await until(() => pauses.length === 2);
    time.move(LONGEST_PAUSE_MS);
    await until(() => agent.questions.length === 3);
    assert.deepEqual(
      agent.questions.map(({ query }) => query.get("index")),
      [null, null, "7"],
    );
    assert.deepEqual(store.diagnostics(), []);
  });

  it("is asked again soon where DNS is slow to know its instances", async () => {
    agent = await startFakeAgent((_, response) => {
      answerJson(response, [instance(1), instance(2, { address: "slow.example" })], 1);
    });
    const followed = followShop(agent.address);
    // For the name.
    await until(() => pauses.length === 1);
    time.move(LONGEST_PAUSE_MS);
    await followed;
    assert.deepEqual(ports(), [1]);
    await until(() => pauses.length === 2);
    time.move(LONGEST_PAUSE_MS);
    await until(() => agent.questions.length === 2);
  });

  for (const [how, last] of [
    ["with the same", LONGEST_PAUSE_MS],
    ["with something new each time", 500],
  ] as const)
    it(`is not asked in a hot loop where it answers ${how} and closes each connection`, async () => {
      const isNew = last < LONGEST_PAUSE_MS;
      await ask((_, response) => {
        const count = isNew ? agent.questions.length : 1;
        answerJson(response.setHeader("connection", "close"), [instance(count)], count);
      });
      for (let turn = 1; turn < 8; turn++) {
        time.move(pauses.at(-1) as number);
        await until(() => pauses.length === turn + 1);
      }
      assert.equal(agent.questions.length, 8);
      assert.equal(pauses.at(-1), last, pauses.join());
      assert.deepEqual(ports(), [isNew ? 8 : 1]);
      assert.ok(agent.questions.every(({ query }) => !query.has("index")));
    });
});

describe("Consul's agent", () => {
  let consul: Consul;
  beforeEach(async () => {
    consul = await startConsul();
  });
  afterEach(() => consul.end());

  it("that is another one after a pause is followed at once: instances, roots and leaf", async () => {
    for (let port = 1; port <= 30; port++) await consul.register({ service: "other", port });
    await consul.register({ service: "shop", port: 1 });
    await Promise.all([followShop(consul.address), followGateway(consul.address)]);
    assert.deepEqual(ports(), [1]);
    const held = (): string | undefined => credentials.credential(GATEWAY)?.facts[0]?.sha256;
    const trusted = (): string | undefined => credentials.trust(GATEWAY)?.anchors.join();
    const [leaf, root] = [held(), trusted()];
    assert.ok(leaf !== undefined && root !== undefined);
    await until(() => pauses.length === 3);
    await consul.end();
    await consul.start();
    await consul.register({ service: "shop", port: 2 });
    time.move(LONGEST_PAUSE_MS);
    await until(() => ports()[0] === 2, 20_000, "the new agent's instances");
    await until(() => held() !== leaf && trusted() !== root, 20_000, "the new agent's leaf and root");
    assert.deepEqual([...store.diagnostics(), ...credentials.diagnostics()], []);
  });
});
