import assert from "node:assert/strict";
import { test } from "node:test";
import { proxies } from "../../../src/admin/proxies.ts";
import type { ReportedEngine, ReportedProxy } from "../../../src/admin/report.ts";

const HOSTILE = `<script>"'&`;

const PROXY: ReportedProxy = {
  node: HOSTILE,
  identity: HOSTILE,
  software: HOSTILE,
  connectedSince: "2026-01-02T03:04:05.000Z",
  revision: 3,
  upToDate: true,
  resources: [{ kind: "listener", acknowledged: 2, pending: 1 }],
  refused: [],
};

function engine(proxies: ReportedProxy[] | undefined): ReportedEngine {
  return {
    name: "envoy",
    revision: 4,
    hash: null,
    listeners: [],
    fault: null,
    group: HOSTILE,
    ...(proxies === undefined ? {} : { proxies }),
  };
}

test("an engine that serves by itself has no panel; one without Envoys says so", () => {
  assert.equal(proxies([engine(undefined)]).text, "");
  assert.match(proxies([engine([])]).text, /None is connected/);
});

test("each Envoy with what it has, and whatever a client says is text", () => {
  const refusal = {
    kind: "virtual-host",
    name: HOSTILE,
    detail: HOSTILE,
    at: "2026-01-02T03:04:05.000Z",
    from: [`mapping/default/${HOSTILE}`],
    instead: "last-good",
  };
  const process = { phase: "ended", pid: null, starts: 3, lastEnd: "signal SIGSEGV" };
  const { text } = proxies([
    engine([PROXY, { ...PROXY, refused: [refusal] }, { ...PROXY, connectedSince: null, process }]),
  ]);
  assert.ok(!text.includes("<script"));
  for (const part of [
    /Envoys \(3\)/,
    /up to date/,
    /refuses 1/,
    /not connected/,
    /2 listener <span class="warn">\+1 under way/,
    /<td>3<br><span class="soft">of 4/,
    /started 3 times/,
    /ended last by signal SIGSEGV/,
    /mapping\/default\//,
    /last-good/,
  ])
    assert.match(text, part);
});
