import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "../support/fast-check.ts";
import { DeltaExchange } from "../../src/engines/envoy/ads/delta-exchange.ts";
import { Session } from "../../src/engines/envoy/ads/session.ts";
import { changesBetween, EMPTY, KINDS, type Snapshot } from "../../src/engines/envoy/ads/snapshot.ts";
import { Turns } from "../../src/engines/envoy/ads/turns.ts";
import { WorldExchange } from "../../src/engines/envoy/ads/world-exchange.ts";
import { TYPE_URLS, type XdsKind } from "../../src/engines/envoy/resources.ts";
import {
  type DeltaDiscoveryRequestSchema,
  DeltaDiscoveryRequestSchema as DeltaRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "../../src/protobuf/generated/envoy/service/discovery/v3/discovery_pb.js";
import { handClock } from "../support/clock.ts";
import { type World, type WorldRoute, worldOf } from "../support/xds-world.ts";

/** Sometimes many runs, by command: `ADS_FUZZ_RUNS=20000`. */
const RUNS = Number(process.env.ADS_FUZZ_RUNS ?? 400);

const NAMES = ["a", "b", "c", "http", "tls"];
const OWNERS = ["http", "tls"];

const world: fc.Arbitrary<World> = fc.record({
  clusters: fc.dictionary(fc.constantFrom("a", "b", "c"), fc.integer({ min: 1, max: 3 })),
  listeners: fc.dictionary(fc.constantFrom(...OWNERS), fc.integer({ min: 1, max: 3 })),
  hosts: fc.dictionary(
    fc.constantFrom(...OWNERS),
    fc.dictionary(
      fc.constantFrom("x", "y", "z"),
      fc.array(
        fc.tuple(
          fc.constantFrom("/", "/p/", "~bad"),
          fc.constantFrom("a", "b", "=t"),
        ) as fc.Arbitrary<WorldRoute>,
        {
          maxLength: 4,
        },
      ),
    ),
  ),
});

const name = fc.oneof(
  fc.constantFrom(...NAMES, "*", "http/x", "nowhere", "nowhere/x", ""),
  fc.string({ maxLength: 5 }),
);
const kind = fc.constantFrom<XdsKind | "nonsense" | "">(...KINDS, "nonsense", "");

/** What happens to a stream, by either side. */
const event = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("publish" as const), world }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("answer" as const), which: fc.nat(), nack: fc.boolean() }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("ask" as const),
      kind,
      subscribe: fc.array(name, { maxLength: 3 }),
      unsubscribe: fc.array(name, { maxLength: 3 }),
      nonce: fc.constantFrom("", "", "stale", "1", "2"),
      versions: fc.dictionary(name, fc.constantFrom("v", "w")),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("read" as const), count: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(10, 1000, 30_000) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "reconnect" as const }) },
);

const anyOrder = fc.shuffledSubarray([...KINDS], { minLength: KINDS.length });

test("delta: whatever a client does, it ends with what it asks for, but for what it refuses", () => {
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 40 }),
      world,
      anyOrder,
      fc.nat(2),
      (events, last, kinds, reads) => {
        const side = new DeltaSide();
        for (const each of events) {
          if (each.do === "publish") side.publish(each.world);
          else if (each.do === "answer") side.answer(each.which, each.nack ? "refused by chance" : undefined);
          else if (each.do === "ask")
            side.ask(each.kind, {
              resourceNamesSubscribe: each.subscribe,
              resourceNamesUnsubscribe: each.unsubscribe,
              responseNonce: each.nonce,
              initialResourceVersions: each.versions,
            });
          else if (each.do === "read") side.read(each.count);
          else if (each.do === "wait") side.clock.move(each.ms);
          else side.reconnect();
        }
        // However it went, it comes to rest.
        side.publish(last);
        side.settle();
        // A client in its right mind from here on: another stream, as Envoy opens it.
        side.reconnect();
        side.publish(last);
        side.askLikeEnvoy(kinds, reads);
        side.settle();
        side.check();
        // Once more on a new stream: it has all of it.
        side.reconnect();
        side.askLikeEnvoy(kinds, reads);
        side.settle();
        side.check();
        // And whatever comes next is followed too.
        side.publish({});
        side.settle();
        side.check();
      },
    ),
    { numRuns: RUNS },
  );
});

test("state of the world: whatever a client does, it ends with what it asks for", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), world, (events, last) => {
      const clock = handClock(0);
      let snapshot: Snapshot = EMPTY;
      let label = 0;
      let session = new Session(
        { clock, orderLimitMs: 5000, onReady: () => undefined, turns: new Turns(clock) },
        null,
        "",
      );
      let exchange = new WorldExchange(session);
      const open: DiscoveryResponse[] = [];
      const held = new Map<string, number>();
      const ask = (kind: string, resourceNames: string[], responseNonce: string, detail?: string): void =>
        exchange.take(
          create(DiscoveryRequestSchema, {
            typeUrl: TYPE_URLS[kind as XdsKind] ?? kind,
            resourceNames,
            responseNonce,
            ...(detail === undefined ? {} : { errorDetail: { message: detail } }),
          }),
        );
      const read = (): boolean => {
        const pieces = exchange.next();
        if (pieces !== null) open.push(fromBinary(DiscoveryResponseSchema, Buffer.concat(pieces)));
        return pieces !== null;
      };
      const publish = (world: World): void => {
        const next = worldOf({ clusters: world.clusters ?? {}, listeners: world.listeners ?? {} }, snapshot);
        const changes = changesBetween(snapshot, next);
        snapshot = next;
        session.update(next, changes, String(++label));
      };
      for (const each of events) {
        if (each.do === "publish") publish(each.world);
        else if (each.do === "ask") ask(each.kind, each.subscribe, each.nonce);
        else if (each.do === "read") for (let i = 0; i < each.count && read(); i++);
        else if (each.do === "wait") clock.move(each.ms);
        else if (each.do === "answer" && open.length > 0) {
          const { typeUrl, nonce } = open[each.which % open.length] as DiscoveryResponse;
          ask(typeUrl, [], nonce, each.nack ? "by chance" : undefined);
        }
      }
      session = new Session(
        { clock, orderLimitMs: 5000, onReady: () => undefined, turns: new Turns(clock) },
        snapshot,
        String(label),
      );
      exchange = new WorldExchange(session);
      open.length = 0;
      publish(last);
      ask("cluster", [], "");
      ask("listener", [], "");
      const converge = (): void => {
        for (let turns = 0; read(); turns++) {
          assert.ok(turns < 1000);
          const { typeUrl, nonce, resources } = open.at(-1) as DiscoveryResponse;
          held.set(typeUrl, resources.length);
          ask(typeUrl, [], nonce);
        }
      };
      converge();
      for (const kind of ["cluster", "listener"] as const)
        assert.equal(held.get(TYPE_URLS[kind]), snapshot[kind].size);
      publish({});
      converge();
      for (const kind of ["cluster", "listener"] as const) assert.equal(held.get(TYPE_URLS[kind]), 0);
    }),
    { numRuns: RUNS },
  );
});

/** Both ends of a stream of the delta protocol, without a wire between them. */
class DeltaSide {
  readonly clock: ReturnType<typeof handClock> = handClock(0);
  readonly held: Record<XdsKind, Map<string, string>> = fresh();
  #snapshot: Snapshot = EMPTY;
  #published = false;
  #label = 0;
  #session: Session;
  #exchange: DeltaExchange;
  #open: DeltaDiscoveryResponse[] = [];

  constructor() {
    this.#session = this.#connect();
    this.#exchange = new DeltaExchange(this.#session);
  }

  publish(world: World): void {
    const next = worldOf(world, this.#snapshot);
    const changes = changesBetween(this.#snapshot, next);
    this.#snapshot = next;
    this.#published = true;
    this.#session.update(next, changes, String(++this.#label));
  }

  ask(kind: string, request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    this.#exchange.take(create(DeltaRequest, { ...request, typeUrl: TYPE_URLS[kind as XdsKind] ?? kind }));
  }

  /** In any order, and perhaps reading in between. */
  askLikeEnvoy(kinds: readonly XdsKind[], reads: number): void {
    for (const kind of kinds) {
      const names = kind === "route-configuration" ? OWNERS : ["none"];
      this.ask(kind, {
        resourceNamesSubscribe: ["cluster", "listener", "virtual-host"].includes(kind) ? [] : names,
        initialResourceVersions: Object.fromEntries(this.held[kind]),
      });
      this.read(reads);
    }
  }

  read(count: number): void {
    for (let i = 0; i < count; i++) {
      const pieces = this.#exchange.next();
      if (pieces === null) return;
      this.#open.push(fromBinary(DeltaDiscoveryResponseSchema, Buffer.concat(pieces)));
    }
  }

  answer(which: number, detail: string | undefined): void {
    const [response] = this.#open.splice(which % Math.max(1, this.#open.length), 1);
    if (response === undefined) return;
    const kind = KINDS.find((kind) => TYPE_URLS[kind] === response.typeUrl);
    if (detail === undefined && kind !== undefined) {
      for (const { name, version } of response.resources) this.held[kind].set(name, version);
      for (const name of response.removedResources) this.held[kind].delete(name);
    }
    this.#exchange.take(
      create(DeltaRequest, {
        typeUrl: response.typeUrl,
        responseNonce: response.nonce,
        ...(detail === undefined ? {} : { errorDetail: { message: detail } }),
      }),
    );
  }

  reconnect(): void {
    this.#exchange.close();
    this.#open = [];
    this.#session = this.#connect();
    this.#exchange = new DeltaExchange(this.#session);
  }

  /** Answers everything, and refuses what holds a bad route, until nothing comes any more. */
  settle(): void {
    for (let turns = 0; ; turns++) {
      assert.ok(turns < 2000, "it never ends");
      this.read(10);
      const [response] = this.#open;
      if (response === undefined) {
        if (this.#session.isSettled) return;
        this.clock.move(5000);
        continue;
      }
      const isBad = response.resources.some(({ resource }) =>
        Buffer.from(resource?.value ?? []).includes("bad"),
      );
      this.answer(0, isBad && response.typeUrl === TYPE_URLS["virtual-host"] ? "bad" : undefined);
    }
  }

  /** What the client has is what there is; a virtual host with bad routes is mended. */
  check(): void {
    const asked = new Set(OWNERS.filter((owner) => this.#snapshot["route-configuration"].has(owner)));
    for (const kind of ["cluster", "listener"] as const)
      assert.deepEqual(versionsOf(this.#snapshot, kind), this.held[kind]);
    const hosts = [...this.#snapshot["virtual-host"].values()].filter(({ name }) =>
      asked.has(name.split("/")[0] as string),
    );
    assert.deepEqual([...this.held["virtual-host"].keys()].sort(), hosts.map(({ name }) => name).sort());
    for (const { name, version, bytes } of hosts) {
      const isBad = Buffer.from(bytes).includes("bad");
      assert.equal(this.held["virtual-host"].get(name) === version, !isBad, name);
    }
    assert.equal(
      KINDS.flatMap((kind) => this.#session.refusals(kind)).length,
      hosts.filter(({ bytes }) => Buffer.from(bytes).includes("bad")).length,
    );
  }

  #connect(): Session {
    const options = {
      clock: this.clock,
      orderLimitMs: 5000,
      onReady: () => undefined,
      turns: new Turns(this.clock),
    };
    return new Session(options, this.#published ? this.#snapshot : null, String(this.#label));
  }
}

function fresh(): Record<XdsKind, Map<string, string>> {
  return Object.fromEntries(KINDS.map((kind) => [kind, new Map()])) as unknown as Record<
    XdsKind,
    Map<string, string>
  >;
}

function versionsOf(snapshot: Snapshot, kind: XdsKind): Map<string, string> {
  return new Map([...snapshot[kind].values()].map(({ name, version }) => [name, version]));
}
