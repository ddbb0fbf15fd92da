import assert from "node:assert/strict";
import { test } from "node:test";
import { startPeers, upstreamCases } from "../behaviour/upstream-handshake-cases.ts";
import { ENGINE_NAMES } from "../../src/model/capabilities.ts";
import { eventually, fetchText, scratch, startRun } from "./credence.ts";

interface Line {
  readonly path: string;
  readonly failure: string | null;
  readonly handshake: string | null;
  readonly failure_id: string;
}

interface Page {
  readonly failures: readonly { readonly id: string; readonly reason: string; readonly handshake?: string }[];
}

for (const engine of ENGINE_NAMES)
  test(`${engine}: access log, page and metrics have the same reason for each upstream that was not reached`, async (t) => {
    const { yaml, servers } = await startPeers();
    t.after(() => {
      for (const server of servers) server.close();
    });
    const flags = engine === "envoy" ? ["--engine", "envoy", "--envoy-concurrency", "1"] : [];
    const { process: run, ready } = await startRun(t, scratch(t, { "a.yaml": yaml }), ...flags);
    // One after the other: each has a second for its handshake.
    for (const index of upstreamCases.keys()) await fetchText(`http://${ready.http}/m${index}/`);
    const lines = (): Line[] =>
      run.stdout
        .split("\n")
        .filter((line) => line.startsWith("{") && line.endsWith("}"))
        .map((line) => JSON.parse(line) as Line);
    await eventually(() => lines().length === upstreamCases.length);
    const { failures } = JSON.parse(
      (await fetchText(`http://${ready.admin}/ambassador/v0/diag/?json=true`)).body,
    ) as Page;
    const counts = new Map<string, number>();
    for (const [index, { name, ...told }] of upstreamCases.entries()) {
      const wanted = engine === "envoy" && told.envoy !== undefined ? told.envoy : told.node;
      const line = lines().find(({ path }) => path === `/m${index}/`);
      assert.equal(line?.handshake, wanted, name);
      const record = failures.find(({ id }) => id === line?.failure_id);
      assert.deepEqual([record?.reason, record?.handshake ?? null], [line?.failure, wanted], name);
      if (wanted !== null) counts.set(wanted, (counts.get(wanted) ?? 0) + 1);
    }
    const metrics = (await fetchText(`http://${ready.admin}/metrics`)).body;
    for (const [reason, count] of counts) {
      const labels = `direction="upstream",reason="${reason}"`;
      assert.match(metrics, new RegExp(`^credence_handshake_failures_total\\{${labels}\\} ${count}$`, "m"));
    }
  });
