import assert from "node:assert/strict";
import { basename } from "node:path";
import { after as nodeAfter, before as nodeBefore, describe as nodeDescribe, it as nodeIt } from "node:test";
import type { EngineName } from "../../src/model/capabilities.ts";
import { ENGINES, runOn } from "../support/engine-under-test.ts";
import { closeGrounds, reuseEnvoys } from "../support/envoy-ground.ts";
import { type Skip, SKIPS } from "./skips.ts";

/**
 * `describe`, `it`, `before` and `after` of node:test, for suites that run whole on each engine: what a file registers is
 * registered once an engine, in a block of its own, and gateways that it starts are that engine's (support/gateway.ts).
 */
export function describe(name: string, define: () => void): void {
  register(
    (engine, path) => void nodeDescribe(name, () => within({ engine, path: [...path, name] }, define)),
  );
}

/** `run` is told what is expected differently on that engine, where the list of skips says so. */
export function it(name: string, run: (skip: Skip | null) => unknown): void {
  register((engine, path) => {
    const skip = skipOf(engine, [...path, name].join(" > "));
    const isRun = skip === null || skip.instead !== undefined || skip.isRun === true;
    const options = isRun ? {} : { skip: skip.reason };
    nodeIt(name, options, async () => void (await runOn(engine, () => run(skip))));
  });
}

export function before(run: Run): void {
  register((engine) => nodeBefore(async () => void (await runOn(engine, run))));
}

export function after(run: Run): void {
  register((engine) => nodeAfter(async () => void (await runOn(engine, run))));
}

type Run = () => unknown;
type Registration = (engine: EngineName, path: readonly string[]) => void;
interface Block {
  readonly engine: EngineName;
  readonly path: readonly string[];
}

let block: Block | null = null;
let waiting: Registration[] | null = null;

function register(registration: Registration): void {
  if (block !== null) {
    registration(block.engine, block.path);
    return;
  }
  if (waiting === null) {
    waiting = [];
    // When the file has said all that it has to say.
    queueMicrotask(registerAll);
  }
  waiting.push(registration);
}

function registerAll(): void {
  const registrations = waiting ?? [];
  waiting = null;
  for (const engine of ENGINES)
    nodeDescribe(`engine ${engine}`, () => {
      within({ engine, path: [] }, () => {
        for (const registration of registrations) registration(engine, []);
      });
      if (engine === "envoy") {
        reuseEnvoys();
        nodeAfter(closeGrounds);
      }
      nodeIt("every skip is of a test that there is", () =>
        assert.deepEqual(
          SKIPS.filter((skip) => skip.file === FILE && skip.engine === engine)
            .flatMap(({ tests }) => tests)
            .filter((part) => !used.has(part)),
          [],
        ),
      );
    });
}

function within(inner: Block, define: () => void): void {
  const outer = block;
  block = inner;
  try {
    define();
  } finally {
    block = outer;
  }
}

const FILE = basename(process.argv[1] ?? "").replace(/\.test\.ts$/, "");
/** Of FILE. */
const used = new Set<string>();

function skipOf(engine: EngineName, name: string): Skip | null {
  const skip = SKIPS.find(
    (each) => each.file === FILE && each.engine === engine && each.tests.some((test) => name.includes(test)),
  );
  if (skip === undefined) return null;
  for (const part of skip.tests) if (name.includes(part)) used.add(part);
  return skip;
}
