import assert from "node:assert/strict";
import { startUpstream, type Upstream } from "../support/upstream.ts";
import type { BehaviourCase } from "./case.ts";
import { clientCases } from "./client-cases.ts";
import { after, before, describe, it } from "./engines.ts";
import { hostCases } from "./host-cases.ts";
import { ingressCases } from "./ingress-cases.ts";
import { mappingCases } from "./mapping-cases.ts";
import { messageCases } from "./message-cases.ts";
import { routingCases } from "./routing-cases.ts";
import { runCase } from "./run-case.ts";
import { upstreamTlsCases } from "./upstream-tls-cases.ts";

const SUITES: Readonly<Record<string, readonly BehaviourCase[]>> = {
  routing: routingCases,
  Mappings: mappingCases,
  messages: messageCases,
  "TLS to upstreams": upstreamTlsCases,
  "TLS from clients": clientCases,
  Hosts: hostCases,
  Ingresses: ingressCases,
};

let upstreams: { cleartext: Upstream; mtls: Upstream; tls: Upstream };
before(async () => {
  const [cleartext, mtls, tls] = await Promise.all([
    startUpstream("cleartext"),
    startUpstream("mtls"),
    startUpstream("tls"),
  ]);
  upstreams = { cleartext, mtls, tls };
});
after(() => Promise.all(Object.values(upstreams).map((upstream) => upstream.close())));

for (const [suite, cases] of Object.entries(SUITES)) {
  describe(suite, () => {
    for (const testCase of cases)
      it(testCase.name, (skip) => check({ ...testCase, expect: skip?.instead ?? testCase.expect }));
  });
}

async function check(testCase: BehaviourCase): Promise<void> {
  const all = Object.values(upstreams);
  for (const upstream of all) upstream.seen.length = 0;
  const peers = {
    cleartext: upstreams.cleartext.port,
    mtls: upstreams.mtls.port,
    tls: upstreams.tls.port,
  };
  const { answers, failure, circumstances } = await runCase(testCase, peers);
  const { expect } = testCase;
  const statuses = answers.map(({ status }) => status);
  assert.equal(
    String(statuses),
    String(expect.statuses),
    `[${statuses}], not [${expect.statuses}]: ${circumstances}`,
  );
  if (expect.head !== undefined) assert.match(answers[0]?.head ?? "", expect.head);
  if (expect.body !== undefined) assert.match(answers[0]?.body ?? "", expect.body);
  const seen = all.flatMap((upstream) => upstream.seen);
  if (expect.seen === null) assert.deepEqual(seen, [], "no upstream may have seen it");
  else if (expect.seen !== undefined) {
    const last = seen.at(-1);
    assert.ok(last !== undefined, "an upstream must have seen it");
    expect.seen(last);
  }
  if (expect.failure !== undefined) assert.equal(failure, expect.failure);
}
