import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "../../../src/telemetry/metrics.ts";

test("values are read at the scrape, and written with their types and labels escaped", async () => {
  const metrics = new Metrics();
  let total = 1;
  metrics.counter("test_total", "Help.", () => [{ labels: { route: 'a"b\\c\nd' }, value: total }]);
  metrics.gauge("test_open", "Help.", () => [{ labels: {}, value: 2 }]);
  metrics.histogram("test_ms", "Help.", () => [
    { labels: { route: "a" }, bounds: [1, 2], counts: [3, 0, 4], sum: 25 },
  ]);
  await metrics.text();
  total = 5;
  const lines = (await metrics.text()).split("\n").filter((line) => line.includes("test_"));
  assert.deepEqual(lines, [
    "# HELP test_total Help.",
    "# TYPE test_total counter",
    'test_total{route="a\\"b\\\\c\\nd"} 5',
    "# HELP test_open Help.",
    "# TYPE test_open gauge",
    "test_open 2",
    "# HELP test_ms Help.",
    "# TYPE test_ms histogram",
    'test_ms_bucket{route="a",le="1"} 3',
    'test_ms_bucket{route="a",le="2"} 3',
    'test_ms_bucket{route="a",le="+Inf"} 7',
    'test_ms_sum{route="a"} 25',
    'test_ms_count{route="a"} 7',
  ]);
});
