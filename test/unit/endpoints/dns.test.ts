import assert from "node:assert/strict";
import type { LookupAddress, RecordWithTtl } from "node:dns";
import { beforeEach, describe, it } from "node:test";
import { createDnsEndpoints } from "../../../src/endpoints/dns.ts";
import { DnsFailure, type Endpoint } from "../../../src/endpoints/endpoint.ts";
import type { DnsSettings } from "../../../src/model/cluster.ts";

interface Question {
  readonly host: string;
  answer(...addresses: string[]): Promise<void>;
  fail(code: string): Promise<void>;
}

let now = 0;
let asked: Question[] = [];
let records: readonly RecordWithTtl[] = [];
let endpoints = createDns();

/** Look-ups that are answered when the test says so. */
function createDns(): ReturnType<typeof createDnsEndpoints> {
  return createDnsEndpoints({
    clock: {
      now: () => now,
      after: () => assert.fail("no timers"),
    },
    lookup: (host) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly LookupAddress[]>();
      asked.push({
        host,
        answer: (...addresses) => {
          resolve(addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })));
          return settled();
        },
        fail: (code) => {
          reject(Object.assign(new Error(code), { code }));
          return settled();
        },
      });
      return promise;
    },
    records: async (_host, family) => (family === 4 ? records : []),
  });
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function addresses(host = "svc", port = 80, dns?: DnsSettings): Promise<string[]> {
  const found = Promise.resolve(endpoints.resolve(host, port, dns)).then((all) =>
    all.map(({ address }: Endpoint) => address),
  );
  // Failures are looked at later than they happen here.
  found.catch(() => undefined);
  return found;
}

/** The one question that is open. */
function question(): Question {
  assert.equal(asked.length, 1);
  return asked.pop() as Question;
}

beforeEach(() => {
  now = 1_000_000;
  asked = [];
  records = [];
  endpoints = createDns();
});

describe("DNS endpoints", () => {
  it("an address is itself, at once", () => {
    assert.deepEqual(endpoints.resolve("10.0.0.1", 80), [{ address: "10.0.0.1", port: 80 }]);
    assert.deepEqual(endpoints.resolve("::1", 80), [{ address: "::1", port: 80 }]);
    assert.equal(asked.length, 0);
  });

  it("one look-up answers all who ask meanwhile, for any port", async () => {
    const all = Promise.all([endpoints.resolve("svc", 80), endpoints.resolve("svc", 81), addresses()]);
    await question().answer("10.0.0.2", "10.0.0.1", "10.0.0.2");
    const [first, second, third] = await all;
    assert.deepEqual(first, [
      { address: "10.0.0.1", port: 80 },
      { address: "10.0.0.2", port: 80 },
    ]);
    assert.equal(second[0]?.port, 81);
    assert.deepEqual(third, ["10.0.0.1", "10.0.0.2"]);
    assert.equal(endpoints.resolve("svc", 80), endpoints.resolve("svc", 80), "nothing is made per request");
  });

  it("IPv6 is for hosts that have nothing else", async () => {
    const both = addresses("both");
    await question().answer("::1", "10.0.0.1");
    assert.deepEqual(await both, ["10.0.0.1"]);
    const six = addresses("six");
    await question().answer("::2", "::1");
    assert.deepEqual(await six, ["::1", "::2"]);
  });

  it("prefers IPv6 where both are enabled, and knows nothing else where IPv4 is not", async () => {
    for (const [dns, found, expected] of [
      [{ family: "both" }, ["10.0.0.1", "::1"], ["::1"]],
      [{ family: "both" }, ["10.0.0.1"], ["10.0.0.1"]],
      [{ family: "v6" }, ["10.0.0.1", "::1"], ["::1"]],
    ] as const) {
      endpoints = createDns();
      const asking = addresses("svc", 80, dns);
      await question().answer(...found);
      assert.deepEqual(await asking, expected);
    }
    endpoints = createDns();
    const none = addresses("svc", 80, { family: "v6" });
    await question().answer("10.0.0.1");
    await assert.rejects(none, { code: "ENODATA" });
  });

  it("keeps apart what is asked for one name in different ways", async () => {
    const [four, six] = [addresses(), addresses("svc", 80, { family: "v6" })];
    const [first, second] = asked;
    await first?.answer("10.0.0.1", "::1");
    await second?.answer("10.0.0.1", "::1");
    assert.deepEqual([await four, await six], [["10.0.0.1"], ["::1"]]);
    asked = [];
  });

  it("other settings of a known name begin with what is known, where they ask for the same family", async () => {
    const first = addresses();
    await question().answer("10.0.0.2", "10.0.0.1", "::1");
    await first;
    assert.deepEqual(await addresses("svc", 81, { respectTtl: true }), ["10.0.0.1", "10.0.0.2"]);
    await question().fail("ETIMEOUT");
    assert.deepEqual(await addresses("svc", 81, { respectTtl: true }), ["10.0.0.1", "10.0.0.2"]);
    const six = addresses("svc", 80, { family: "v6" });
    await question().answer("::1");
    assert.deepEqual(await six, ["::1"]);
  });

  it("logical_dns: the first of each answer, in the order of the answer", async () => {
    const asking = addresses("svc", 80, { logical: true });
    await question().answer("10.0.0.2", "10.0.0.1");
    assert.deepEqual(await asking, ["10.0.0.2"]);
  });

  it("the same answer is the same list", async () => {
    const first = addresses();
    await question().answer("10.0.0.1", "10.0.0.2");
    await first;
    const list = endpoints.resolve("svc", 80);
    now += 5_000;
    endpoints.resolve("svc", 80);
    await question().answer("10.0.0.2", "10.0.0.1");
    assert.equal(endpoints.resolve("svc", 80), list);
  });

  it("respect_dns_ttl: fresh for as long as the name servers say, of addresses that they know", async () => {
    const dns = { respectTtl: true } as const;
    records = [
      { address: "10.0.0.1", ttl: 30 },
      { address: "10.9.9.9", ttl: 1 },
    ];
    const first = addresses("svc", 80, dns);
    await question().answer("10.0.0.1");
    assert.deepEqual(await first, ["10.0.0.1"]);
    now += 29_999;
    await addresses("svc", 80, dns);
    assert.equal(asked.length, 0);
    now += 1;
    // The name servers know nothing of it any more: a hosts file, say.
    records = [];
    await addresses("svc", 80, dns);
    await question().answer("10.0.0.1");
    now += 4_999;
    await addresses("svc", 80, dns);
    assert.equal(asked.length, 0);
    now += 1;
    await addresses("svc", 80, dns);
    assert.equal(question().host, "svc");
  });

  it("is fresh for 5 s, then asked again while the old answer serves", async () => {
    const first = addresses();
    await question().answer("10.0.0.1");
    await first;
    now += 4_999;
    assert.deepEqual(await addresses(), ["10.0.0.1"]);
    assert.equal(asked.length, 0);
    now += 1;
    assert.deepEqual(await addresses(), ["10.0.0.1"]);
    assert.deepEqual(await addresses(), ["10.0.0.1"]);
    await question().answer("10.0.0.2");
    assert.deepEqual(await addresses(), ["10.0.0.2"]);
    assert.equal(asked.length, 0);
  });

  it("an old answer serves for 5 minutes of failures, and no longer", async () => {
    const first = addresses();
    await question().answer("10.0.0.1");
    await first;
    for (let waited = 0; waited < 300_000; waited += 30_000) {
      assert.deepEqual(await addresses(), ["10.0.0.1"]);
      now += 30_000;
      if (asked.length > 0) await question().fail("EAI_AGAIN");
    }
    now += 1_000;
    const late = addresses();
    await question().fail("EAI_AGAIN");
    await assert.rejects(late, (error) => error instanceof DnsFailure && error.code === "EAI_AGAIN");
  });

  it("a failure is remembered for a second, an empty answer is one", async () => {
    const first = addresses();
    await question().fail("ENOTFOUND");
    await assert.rejects(first, { code: "ENOTFOUND", message: "no address for svc: ENOTFOUND" });
    now += 999;
    await assert.rejects(addresses(), { code: "ENOTFOUND" });
    assert.equal(asked.length, 0);
    now += 1;
    const second = addresses();
    await question().answer();
    await assert.rejects(second, { code: "ENODATA" });
    now += 1_000;
    const third = addresses();
    await question().answer("10.0.0.1");
    assert.deepEqual(await third, ["10.0.0.1"]);
  });

  it("a clock that is set back delays nothing", async () => {
    const first = addresses();
    await question().answer("10.0.0.1");
    await first;
    now -= 3_600_000;
    const second = addresses();
    await question().answer("10.0.0.2");
    assert.deepEqual(await second, ["10.0.0.2"]);
  });

  it("holds ten thousand names, the oldest goes first", async () => {
    for (let index = 0; index <= 10_000; index++) {
      const found = addresses(`svc${index}`);
      await question().answer("10.0.0.1");
      await found;
    }
    await addresses("svc5000");
    assert.equal(asked.length, 0);
    const again = addresses("svc0");
    assert.equal(question().host, "svc0");
    void again;
  });

  it("asks the system: the hosts file is honoured", async () => {
    const system = createDnsEndpoints({ clock: { now: () => now, after: () => assert.fail("no timers") } });
    assert.deepEqual(await system.resolve("localhost", 80), [{ address: "127.0.0.1", port: 80 }]);
  });
});
