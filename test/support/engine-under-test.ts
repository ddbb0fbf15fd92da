import { AsyncLocalStorage } from "node:async_hooks";
import { ENGINE_NAMES, type EngineName } from "../../src/model/capabilities.ts";

const current = new AsyncLocalStorage<EngineName>();

/** Which engine the test that asks is about; the embedded one outside of suites that run on every engine. */
export function engineUnderTest(): EngineName {
  return current.getStore() ?? "node";
}

export function runOn<Result>(engine: EngineName, run: () => Result): Result {
  return current.run(engine, run);
}

/** `CREDENCE_TEST_ENGINES=node` leaves the others out while somebody works on one. */
export const ENGINES: readonly EngineName[] =
  process.env.CREDENCE_TEST_ENGINES === undefined
    ? ENGINE_NAMES
    : ENGINE_NAMES.filter((name) => process.env.CREDENCE_TEST_ENGINES?.split(",").includes(name));
