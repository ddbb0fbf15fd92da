import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { startUpstream } from "../support/upstream.ts";
import { until } from "../support/until.ts";
import { fetchText, mapping, scratch, startRun } from "./credence.ts";

interface Report {
  readonly diagnostics: readonly { readonly code: string; readonly message: string }[];
  readonly engines: readonly {
    readonly proxies: readonly {
      readonly upToDate: boolean;
      readonly process: {
        readonly phase: string;
        readonly pid: number;
        readonly starts: number;
        readonly lastEnd: string | null;
      };
    }[];
  }[];
}

async function start(t: TestContext, patience: string) {
  const upstream = await startUpstream("cleartext");
  t.after(() => upstream.close());
  const folder = scratch(t, { "a.yaml": mapping("a", "/a/", `127.0.0.1:${upstream.port}`) });
  const { process: run, ready } = await startRun(
    t,
    folder,
    ...["--engine", "envoy", "--envoy-concurrency", "1", "--envoy-patience", patience],
  );
  const report = async (): Promise<Report> =>
    JSON.parse((await fetchText(`http://${ready.admin}/ambassador/v0/diag/?json=true`)).body) as Report;
  const gateway = {
    run,
    report,
    own: async () => {
      const own = (await report()).engines[0]?.proxies[0]?.process;
      assert.ok(own !== undefined);
      return own;
    },
    isReady: async () => (await fetchText(`http://${ready.admin}/ambassador/v0/check_ready`)).status === 200,
    metrics: async () => (await fetchText(`http://${ready.admin}/metrics`)).body,
    ask: async () => (await fetchText(`http://${ready.http}/a/b`)).status,
  };
  assert.equal(await gateway.ask(), 200);
  return gateway;
}

test("an Envoy that is frozen is reported, and after a while killed and started again with all it had", async (t) => {
  const { run, report, own, isReady, metrics, ask } = await start(t, "6s");
  const { pid } = await own();
  process.kill(pid, "SIGSTOP");
  t.after(() => {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It is gone, as it should be.
    }
  });
  await until(async () => (await own()).phase === "silent");
  assert.equal(await isReady(), false);
  assert.match(await metrics(), /^credence_envoy_live 0$/m);
  const found = (await report()).diagnostics.find(({ code }) => code === "envoy-silent");
  assert.match(found?.message ?? "", new RegExp(`process ${pid} of Envoy runs and does not answer`));
  await until(async () => (await own()).starts === 2 && (await isReady()));
  const again = await own();
  assert.notEqual(again.pid, pid);
  assert.equal(again.lastEnd, "a kill, as it did not answer");
  assert.equal(await ask(), 200);
  await until(async () => (await report()).diagnostics.length === 0);
  assert.match(run.stderr, /Envoy runs and does not answer/);
  assert.match(run.stderr, /not ready: Envoy does not answer/);
  assert.match(run.stderr, /no longer: process/);
});

test("one that comes back in time is left alone: somebody may be debugging it", async (t) => {
  const { own, report, isReady, ask } = await start(t, "12s");
  const { pid } = await own();
  process.kill(pid, "SIGSTOP");
  await until(async () => (await own()).phase === "silent");
  process.kill(pid, "SIGCONT");
  await until(async () => (await own()).phase === "live" && (await isReady()));
  assert.equal((await own()).pid, pid);
  assert.equal((await own()).starts, 1);
  assert.equal(await ask(), 200);
  await until(async () => (await report()).diagnostics.length === 0);
});
