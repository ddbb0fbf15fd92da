import assert from "node:assert/strict";
import { test } from "node:test";
import type { IncompleteStart } from "../../../src/control/incomplete-start.ts";
import { Control, type ResourceSource } from "../../../src/control/control.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import type { ResourceSet } from "../../../src/resources/resource-set.ts";
import { parseTlsContext } from "../../../src/resources/tls-context.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { createLogger, type Logger } from "../../../src/telemetry/logger.ts";
import { createAuthority } from "../../../src/x509/authority.ts";
import { FakeEngine } from "./fake-engine.ts";
import { mappings } from "./resources.ts";

interface World extends ResourceSource {
  resources: ResourceSet;
  complete: boolean;
  loads: number;
}

function setUp(
  incompleteStart: IncompleteStart = "not-ready",
  logger = createLogger("silent"),
): {
  control: Control;
  engine: FakeEngine;
  source: World;
  store: CredentialStore;
} {
  const engine = new FakeEngine();
  const store = new CredentialStore(systemClock);
  const source: World = {
    resources: mappings({ a: "/a/" }),
    complete: true,
    loads: 0,
    async load() {
      this.loads++;
      await new Promise((resolve) => setTimeout(resolve, 5));
      return { resources: this.resources, diagnostics: [], complete: this.complete };
    },
  };
  const control = new Control({
    source,
    store,
    engine,
    compileOptions: {
      engine: "node",
      address: "127.0.0.1",
    },
    onResources: async () => {},
    incompleteStart,
    logger,
  });
  return { control, engine, source, store };
}

const later = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

test("the first revision has number 1, and makes the gateway ready", async () => {
  const { control, engine } = setUp();
  assert.equal(control.state.ready, false);
  assert.equal(control.state.notReady, "no revision serves yet");
  await control.reload();
  assert.equal(control.state.revision?.number, 1);
  assert.equal(control.state.ready, true);
  assert.deepEqual(control.state.listeners, [{ name: "http", address: "127.0.0.1", port: 8080 }]);
  assert.equal(engine.applied.length, 1);
});

test("what compiles to the same model is not published again", async () => {
  const { control, engine, source } = setUp();
  await control.reload();
  source.resources = mappings({ a: "/a/" });
  await control.reload();
  assert.equal(engine.applied.length, 1);
  source.resources = mappings({ a: "/b/" });
  await control.reload();
  assert.deepEqual(
    engine.applied.map(({ number }) => number),
    [1, 2],
  );
});

test("however many changes come during a round, one more round follows", async () => {
  const { control, engine, source } = setUp();
  const all: Promise<void>[] = [];
  for (let i = 0; i < 20; i++) {
    source.resources = mappings({ a: `/${i}/` });
    all.push(control.reload());
  }
  await Promise.all(all);
  assert.equal(source.loads, 2);
  assert.equal(engine.applied.at(-1)?.model.routes[0]?.match.path.value, "/19/");
});

test("an engine that waits for others is told of what is to follow", async () => {
  const { control, engine, source } = setUp();
  engine.waits = true;
  const first = control.reload();
  while (engine.applied.length === 0) await later(1);
  source.resources = mappings({ a: "/b/" });
  const second = control.reload();
  while (engine.applied.length === 1) await later(1);
  engine.waits = false;
  void control.reload();
  await Promise.all([first, second]);
  assert.equal(control.state.revision?.number, 2);
});

test("a large world is rehearsed, which changes nothing that serves", async () => {
  const { control, engine, source } = setUp();
  await control.rehearse();
  await control.reload();
  await control.rehearse();
  assert.equal(engine.applied.length, 1);
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`m${index}`, `/${index}/`]));
  source.resources = mappings(many);
  await control.reload();
  const { revision } = control.state;
  const serves = JSON.stringify(revision);
  const before = engine.applied.length;
  await control.rehearse();
  assert.ok(engine.applied.length > before + 1);
  for (const again of engine.applied.slice(before)) assert.equal(JSON.stringify(again), serves);
  assert.equal(control.compiled?.resources, source.resources);
  await control.reload();
  assert.equal(control.state.revision, revision);
  source.resources = mappings({ ...many, m1: "/other/" });
  await control.reload();
  assert.equal(control.state.revision?.number, 3);
});

test("what comes during a rehearsal goes first", async () => {
  const { control, engine, source } = setUp();
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`m${index}`, `/${index}/`]));
  source.resources = mappings(many);
  await control.reload();
  const rehearsal = control.rehearse();
  source.resources = mappings({ ...many, m1: "/other/" });
  await Promise.all([control.reload(), rehearsal]);
  assert.equal(control.compiled?.resources, source.resources);
  assert.equal(control.state.revision?.number, 2);
  // One of each number after the other, and none of the first once the second is there.
  const numbers = engine.applied.map(({ number }) => number);
  assert.deepEqual(numbers, [...numbers].sort());
  assert.ok(numbers.filter((number) => number === 2).length > 2);
});

test("what the engine refuses leaves the last good revision, is said, and is tried again", async () => {
  const { control, engine, source } = setUp();
  await control.reload();
  engine.problems = [{ code: "listener-port-unavailable", subject: "http", message: "EADDRINUSE" }];
  source.resources = mappings({ a: "/b/" });
  await control.reload();
  assert.equal(control.state.revision?.number, 1);
  assert.equal(control.state.ready, true);
  assert.deepEqual(
    control.state.diagnostics.map(({ code, subject }) => [code, subject.name]),
    [["listener-port-unavailable", "http"]],
  );
  engine.problems = [];
  await control.reload();
  assert.equal(control.state.revision?.number, 3);
  assert.deepEqual(control.state.diagnostics, []);
  // Back to what serves: nothing is wrong any more, and nothing needs to be applied.
  engine.problems = [{ code: "listener-port-unavailable", subject: "http", message: "EADDRINUSE" }];
  source.resources = mappings({ a: "/c/" });
  await control.reload();
  source.resources = mappings({ a: "/b/" });
  await control.reload();
  assert.equal(engine.applied.length, 4);
  assert.deepEqual(control.state.diagnostics, []);
});

test("a port that is taken is tried again by itself, as the revision that it was, and said once", async () => {
  const lines: { msg: string; revision?: number }[] = [];
  const logger = createLogger("info", { write: (line: string) => lines.push(JSON.parse(line)) });
  const { control, engine, source } = setUp("not-ready", logger);
  await control.reload();
  engine.problems = [{ code: "listener-port-unavailable", subject: "http", message: "EADDRINUSE" }];
  source.resources = mappings({ a: "/b/" });
  await control.reload();
  while (engine.applied.length < 3) await later(10);
  assert.equal(control.state.ready, true);
  engine.problems = [];
  while (control.revision !== 2) await later(10);
  assert.deepEqual(control.state.diagnostics, []);
  assert.deepEqual([...new Set(engine.applied.slice(1).map(({ number }) => number))], [2]);
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    [
      "revision serves",
      "revision refused, the previous one stays",
      "EADDRINUSE",
      "revision serves",
      "no longer: EADDRINUSE",
    ],
  );
  control.stop();
});

test("what is refused for something else than a port is not tried again by itself", async () => {
  const { control, engine } = setUp();
  engine.problems = [{ code: "engine-refused", subject: "http", message: "no" }];
  await control.reload();
  await later(1200);
  assert.equal(engine.applied.length, 1);
});

test("a fault in compiling leaves the last good revision, and is said until a round succeeds", async () => {
  const { control, source } = setUp();
  await control.reload();
  source.resources = {
    ...mappings({ a: "/b/" }),
    get tlsContexts(): never {
      throw new Error("a bug");
    },
  };
  await control.reload();
  assert.equal(control.state.revision?.number, 1);
  assert.equal(control.state.fault, "a bug");
  source.resources = mappings({ a: "/b/" });
  await control.reload();
  assert.equal(control.state.revision?.number, 2);
  assert.equal(control.state.fault, null);
});

test("a cold start with unreadable documents serves and is not ready, unless that is allowed", async () => {
  const strict = setUp();
  strict.source.complete = false;
  await strict.control.reload();
  assert.equal(strict.control.state.revision?.number, 1);
  assert.match(strict.control.state.notReady ?? "", /could not be read/);
  strict.source.complete = true;
  await strict.control.reload();
  assert.equal(strict.control.state.ready, true);
  // From then on an unreadable document keeps its last seen objects.
  strict.source.complete = false;
  await strict.control.reload();
  assert.equal(strict.control.state.ready, true);

  const lenient = setUp("ready");
  lenient.source.complete = false;
  await lenient.control.reload();
  assert.equal(lenient.control.state.ready, true);
});

test("nothing is published of a cold start with unreadable documents where that is to be withheld", async () => {
  const { control, source } = setUp("withheld");
  source.complete = false;
  await control.reload();
  assert.equal(control.revision, null);
  assert.match(control.state.notReady ?? "", /^nothing is published, .*could not be read/);
  source.complete = true;
  await control.reload();
  assert.deepEqual([control.revision, control.state.ready], [1, true]);
  source.complete = false;
  source.resources = mappings({ a: "/b/" });
  await control.reload();
  assert.deepEqual([control.revision, control.state.ready], [2, true]);
});

test("credentials that appear or go make one round together; a rotation makes none", async () => {
  const { control, source, store } = setUp();
  await control.reload();
  const authority = await createAuthority("test CA");
  const issue = () => authority.issue({ commonName: "gateway", usage: "client" });
  const [first, second] = [await issue(), await issue()];
  const origin = { subject: { kind: "Secret", namespace: "default", name: "s" } };
  const offer = (name: string, { certificate, privateKey }: typeof first): void =>
    store.offer(name, { certificateChain: certificate, privateKey }, origin);
  for (const name of ["secret/default/a", "secret/default/b", "secret/default/c"]) offer(name, first);
  await later(100);
  assert.equal(source.loads, 2);
  offer("secret/default/a", second);
  await later(100);
  assert.equal(store.credential("secret/default/a")?.generation, 2);
  assert.equal(source.loads, 2);
  store.remove("secret/default/a");
  await later(100);
  assert.equal(source.loads, 3);
  store.close();
});

test("what a Secret lacks is said anew at each change of it, also where it was never of use", async () => {
  const { control, source, store } = setUp();
  const set = mappings({ a: "/a/" });
  const context = parseTlsContext(
    { namespace: "default", name: "ctx" },
    { hosts: [], secret: "s" },
    { value: {}, fields: new Map(), source: { file: "a.yaml", line: 1, column: 1 } },
  ).resource;
  source.resources = { ...set, tlsContexts: [context] };
  const codes = () =>
    control.state.diagnostics.filter(({ subject }) => subject.name === "ctx").map(({ code }) => code);
  const origin = { subject: { kind: "Secret", namespace: "default", name: "s" } };
  await control.reload();
  assert.deepEqual(codes(), ["secret-missing"]);
  store.offer("secret/default/s", { certificateChain: "garbage", privateKey: "garbage" }, origin);
  await control.reload();
  assert.deepEqual(codes(), ["pem-invalid"]);
  store.remove("secret/default/s");
  await control.reload();
  assert.deepEqual(codes(), ["secret-missing"]);
  store.close();
});

test("once stopped nothing is published, and nothing is ready", async () => {
  const { control, engine, source } = setUp();
  await control.reload();
  source.resources = mappings({ a: "/b/" });
  const running = control.reload();
  control.stop();
  await running;
  await control.reload();
  assert.equal(engine.applied.length, 1);
  assert.equal(control.state.notReady, "shutting down");
});

test("what a credential is found to be between two rounds is logged, and that it is mended too", async () => {
  const lines: string[] = [];
  const write = (level: string) => (_fields: unknown, message?: string) => {
    lines.push(`${level} ${message ?? String(_fields)}`);
  };
  const logger = {
    ...createLogger("silent"),
    error: write("error"),
    warn: write("warn"),
    info: write("info"),
  };
  const { control, store } = setUp("not-ready", logger as unknown as Logger);
  const authority = await createAuthority("log CA");
  const [first, second] = await Promise.all([
    authority.issue({ commonName: "first" }),
    authority.issue({ commonName: "second" }),
  ]);
  const origin = { subject: { kind: "Secret", namespace: "default", name: "s" } };
  const material = (pair: { certificate: string; privateKey: string }) => ({
    certificateChain: pair.certificate,
    privateKey: pair.privateKey,
  });
  store.offer("s", material(first), origin);
  await control.reload();
  lines.length = 0;
  store.offer("s", { ...material(first), privateKey: "garbage" }, origin);
  await later(80);
  assert.ok(
    lines.some((line) => /^error the private key/.test(line)),
    lines.join("\n"),
  );
  assert.ok(
    lines.some((line) => /^error generation 1 of s stays in use/.test(line)),
    lines.join("\n"),
  );
  lines.length = 0;
  store.offer("s", material(second), origin);
  await later(80);
  assert.ok(
    lines.some((line) => /^info a new generation is in use/.test(line)),
    lines.join("\n"),
  );
  assert.ok(
    lines.some((line) => /^info no longer: the private key/.test(line)),
    lines.join("\n"),
  );
  control.stop();
});

test("an engine whose process starts is on its way; one that takes too long for that is an error", async () => {
  const lines: { level: number; msg: string }[] = [];
  const logger = createLogger("info", { write: (line: string) => lines.push(JSON.parse(line)) });
  const { control, engine } = setUp("not-ready", logger);
  const starting = Object.assign(engine, { down: "Envoy is starting" as string | null, isStarting: true });
  const levels = (): (string | undefined)[] =>
    lines.filter(({ msg }) => msg.startsWith("not ready")).map(({ level }) => logger.levels.labels[level]);
  await control.reload();
  assert.deepEqual(levels(), ["info"]);
  Object.assign(starting, { down: "Envoy has been starting for long", isStarting: false });
  await control.reload();
  assert.deepEqual(levels(), ["info", "error"]);
  await control.stop();
});
