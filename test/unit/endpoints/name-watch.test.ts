import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { NameWatch, type NameWanted } from "../../../src/endpoints/name-watch.ts";
import type { FoundAddress } from "../../../src/endpoints/resolved-name.ts";
import type { DnsSettings } from "../../../src/model/cluster.ts";
import { handClock } from "../../support/clock.ts";

interface Question {
  readonly host: string;
  answer(...addresses: string[]): Promise<void>;
  fail(code: string): Promise<void>;
}

let clock = handClock();
let asked: Question[] = [];
let told: string[] = [];
let ttl: number | undefined;
let watch = newWatch();

/** Look-ups that are answered when the test says so. */
function newWatch(): NameWatch {
  const made = new NameWatch({
    clock,
    lookup: (host) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly FoundAddress[]>();
      const holds = ttl === undefined ? {} : { ttl };
      asked.push({
        host,
        answer: (...addresses) => {
          resolve(addresses.map((address) => ({ address, family: 4, ...holds })));
          return settled();
        },
        fail: (code) => {
          reject(Object.assign(new Error(code), { code }));
          return settled();
        },
      });
      return promise;
    },
  });
  made.onChange((name) => told.push(name));
  return made;
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const wanted = (host: string, port = 80, dns?: DnsSettings): NameWanted => ({
  name: `${host}:${port}`,
  host,
  port,
  dns,
});
const addresses = (name: string): string[] => watch.find(name).endpoints.map(({ address }) => address);

/** The one question that is open. */
function question(): Question {
  assert.equal(asked.length, 1);
  return asked.pop() as Question;
}

beforeEach(() => {
  clock = handClock();
  asked = [];
  told = [];
  ttl = undefined;
  watch = newWatch();
});

describe("a watch of names", () => {
  it("has the addresses of each name before it is said to be followed", async () => {
    let isFollowed = false;
    const followed = watch.follow([wanted("a"), wanted("b")]).then(() => {
      isFollowed = true;
    });
    const [a, b] = asked.splice(0) as [Question, Question];
    await b.answer("10.0.0.2");
    assert.equal(isFollowed, false);
    await a.answer("10.0.0.1");
    await followed;
    assert.deepEqual([addresses("a:80"), addresses("b:80")], [["10.0.0.1"], ["10.0.0.2"]]);
    assert.deepEqual(told, ["b:80", "a:80"]);
  });

  it("waits a second for those that are not answered for, and for nobody a second time", async () => {
    const followed = watch.follow([wanted("lost")]);
    clock.move(1_010);
    await followed;
    assert.deepEqual(watch.find("lost:80").endpoints, []);
    await watch.follow([wanted("lost"), wanted("lost", 81)]);
    assert.equal(asked.length, 1);
    await question().answer("10.0.0.1");
    assert.deepEqual(watch.find("lost:81").endpoints, [{ address: "10.0.0.1", port: 81 }]);
  });

  it("asks every 5 s, and tells what is new alone", async () => {
    void watch.follow([wanted("svc")]);
    await question().answer("10.0.0.1");
    clock.move(4_999);
    assert.equal(asked.length, 0);
    clock.move(1);
    await question().answer("10.0.0.1");
    assert.deepEqual(told, ["svc:80"]);
    clock.move(5_000);
    await question().answer("10.0.0.1", "10.0.0.2");
    assert.deepEqual(told, ["svc:80", "svc:80"]);
    assert.deepEqual(addresses("svc:80"), ["10.0.0.1", "10.0.0.2"]);
  });

  it("respect_dns_ttl: asks when the TTL is over", async () => {
    ttl = 30;
    void watch.follow([wanted("svc", 80, { respectTtl: true })]);
    await question().answer("10.0.0.1");
    clock.move(29_999);
    assert.equal(asked.length, 0);
    clock.move(1);
    await question().answer("10.0.0.2");
    assert.deepEqual(addresses("svc:80"), ["10.0.0.2"]);
  });

  it("keeps what it has for 5 minutes of failures, NXDOMAIN among them, and no longer", async () => {
    void watch.follow([wanted("svc")]);
    await question().answer("10.0.0.1");
    for (let seconds = 5; seconds < 300; seconds += 5) {
      clock.move(5_000);
      await question().fail(seconds % 2 === 0 ? "ETIMEOUT" : "ENOTFOUND");
      assert.deepEqual(addresses("svc:80"), ["10.0.0.1"], `after ${seconds} s`);
    }
    clock.move(5_000);
    await question().fail("ETIMEOUT");
    assert.deepEqual(watch.find("svc:80"), { endpoints: [], missing: "DNS has no address for svc" });
    clock.move(1_000);
    await question().answer("10.0.0.1");
    assert.deepEqual(addresses("svc:80"), ["10.0.0.1"]);
  });

  it("a name without an address is asked about each second", async () => {
    void watch.follow([wanted("svc")]);
    await question().fail("ENOTFOUND");
    assert.deepEqual(told, ["svc:80"]);
    clock.move(1_000);
    await question().fail("ENOTFOUND");
    assert.deepEqual(told, ["svc:80"]);
    clock.move(1_000);
    await question().answer("10.0.0.1");
    assert.deepEqual(told, ["svc:80", "svc:80"]);
  });

  it("another port of a known name is known at once", async () => {
    void watch.follow([wanted("svc")]);
    await question().answer("10.0.0.1");
    await watch.follow([wanted("svc", 81)]);
    assert.equal(asked.length, 0);
    assert.deepEqual(watch.find("svc:81").endpoints, [{ address: "10.0.0.1", port: 81 }]);
    assert.deepEqual(watch.find("svc:80").endpoints, []);
  });

  it("other settings of a known name begin with what is known, where they ask for the same family", async () => {
    void watch.follow([wanted("svc")]);
    await question().answer("10.0.0.2", "10.0.0.1");
    const named = (name: string, dns: DnsSettings): NameWanted => ({ ...wanted("svc", 80, dns), name });
    await watch.follow([named("ttl", { respectTtl: true }), named("logical", { logical: true })]);
    assert.deepEqual([addresses("ttl"), addresses("logical")], [["10.0.0.1", "10.0.0.2"], ["10.0.0.1"]]);
    assert.equal(asked.length, 2);
    const followed = watch.follow([named("v6", { family: "v6" })]);
    assert.deepEqual(addresses("v6"), []);
    clock.move(1_010);
    await followed;
  });

  it("what nobody wants is asked about no more, and an answer under way changes nothing", async () => {
    void watch.follow([wanted("a"), wanted("b")]);
    const [a, b] = asked.splice(0) as [Question, Question];
    await a.answer("10.0.0.1");
    await watch.follow([]);
    await b.answer("10.0.0.2");
    clock.move(60_000);
    assert.equal(asked.length, 0);
    assert.deepEqual([addresses("a:80"), addresses("b:80")], [[], []]);
    assert.deepEqual(told, ["a:80"]);
  });
});
