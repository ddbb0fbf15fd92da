import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { DnsFailure, type Endpoint } from "../../../src/endpoints/endpoint.ts";
import { HostNames } from "../../../src/endpoints/host-names.ts";
import { handClock } from "../../support/clock.ts";

describe("host names that a source tells", () => {
  let clock: ReturnType<typeof handClock>;
  let names: HostNames;
  let asked: string[];
  let changes: number;
  /** By name; undefined: it does not answer. */
  let answers: Map<string, readonly string[] | "ENOTFOUND">;
  beforeEach(() => {
    clock = handClock();
    asked = [];
    changes = 0;
    answers = new Map();
    const resolve = (host: string, port: number): Promise<readonly Endpoint[]> => {
      asked.push(host);
      const answer = answers.get(host);
      if (answer === "ENOTFOUND") return Promise.reject(new DnsFailure(host, answer));
      if (answer === undefined) return new Promise(() => {});
      return Promise.resolve(answer.map((address) => ({ address, port })));
    };
    names = new HostNames({ resolve }, clock, () => changes++);
  });
  /** Lets time pass, and whoever waits for it. */
  async function pass(milliseconds: number): Promise<void> {
    for (let left = milliseconds; left >= 0; left -= 100) {
      clock.move(Math.min(100, left));
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
  }

  it("are waited for at first, and asked for every two seconds", async () => {
    answers.set("a", ["10.0.0.1"]).set("b", "ENOTFOUND");
    const known = names.want(new Set(["a", "b"]));
    assert.equal(names.find("a"), undefined);
    await pass(0);
    await known;
    assert.deepEqual(names.find("a"), { addresses: ["10.0.0.1"], trouble: null });
    assert.deepEqual(names.find("b"), { addresses: [], trouble: "ENOTFOUND" });
    assert.equal(changes, 0, "who waits sees it without being told");
    answers.set("b", ["10.0.0.2"]);
    await pass(2_000);
    assert.deepEqual(names.find("b"), { addresses: ["10.0.0.2"], trouble: null });
    assert.equal(changes, 1);
    await pass(20_000);
    assert.equal(changes, 1, "nothing is new");
    assert.equal(asked.length, 2 * 12);
  });

  it("keep their last addresses for as long as DNS has none, which is said", async () => {
    answers.set("a", ["10.0.0.1"]);
    void names.want(new Set(["a"]));
    await pass(0);
    answers.set("a", "ENOTFOUND");
    await pass(3_600_000);
    assert.deepEqual(names.find("a"), { addresses: ["10.0.0.1"], trouble: "ENOTFOUND" });
    assert.equal(changes, 1);
    answers.set("a", ["10.0.0.3"]);
    await pass(2_000);
    assert.deepEqual(names.find("a"), { addresses: ["10.0.0.3"], trouble: null });
    assert.equal(changes, 2);
  });

  it("keep nobody waiting where DNS is silent, and those that are new are asked for though", async () => {
    let isOver = false;
    void names.want(new Set(["silent"])).then(() => {
      isOver = true;
    });
    await pass(1_500);
    assert.equal(isOver, false);
    await pass(600);
    assert.equal(isOver, true);
    answers.set("a", ["10.0.0.1"]);
    const known = names.want(new Set(["silent", "a"]));
    await pass(2_000);
    await known;
    assert.deepEqual(names.find("a"), { addresses: ["10.0.0.1"], trouble: null });
    assert.equal(names.find("silent"), undefined);
    await pass(6_000);
    assert.deepEqual(names.find("silent"), { addresses: [], trouble: "ETIMEOUT" });
  });

  it("are forgotten where nobody wants them, and asked for no more", async () => {
    answers.set("a", ["10.0.0.1"]).set("b", ["10.0.0.2"]);
    void names.want(new Set(["a"]));
    await pass(0);
    void names.want(new Set(["b"]));
    await pass(0);
    assert.equal(names.find("a"), undefined);
    const waits = names.want(new Set(["silent"]));
    names.stop();
    await waits;
    const { length } = asked;
    await pass(60_000);
    assert.equal(asked.length, length);
  });
});
