import { X509Certificate } from "node:crypto";
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { after, before, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { createAuthority } from "../../../src/x509/authority.ts";
import { GO_SPIFFE, SPIFFE_PYTHON } from "../../support/spiffe-client.ts";
import { derOf, issueSvid, startWorkloadApi, type WorkloadApi } from "../../support/workload-api.ts";

/** The Workload API of test/support, held to clients that are not ours. */

const PYTHON = fileURLToPath(new URL("../../support/spiffe-client/fetch.py", import.meta.url));
const authority = await createAuthority("example.org CA");
const partner = await createAuthority("partner.example CA");
let api: WorkloadApi;

before(async () => {
  api = await startWorkloadApi();
});
after(() => api.close());

function serialOf(pem: string): string {
  return new X509Certificate(pem).serialNumber.toLowerCase();
}

async function twoSvids() {
  const svids = [
    await issueSvid(authority, "spiffe://example.org/gateway", { hint: "internal" }),
    await issueSvid(authority, "spiffe://example.org/edge", { hint: "external" }),
  ];
  const expected = {
    ids: ["spiffe://example.org/gateway", "spiffe://example.org/edge"],
    serials: svids.map(({ issued }) => serialOf(issued.certificate)),
    bundles: { "example.org": 1, "partner.example": 1 },
  };
  const federatedBundles = { "spiffe://partner.example": derOf(partner.certificate) };
  return { svids, federatedBundles, expected };
}

test("go-spiffe takes what the server of the tests says, follows it, and comes back after an end", async () => {
  assert.ok(existsSync(GO_SPIFFE), `${GO_SPIFFE} is missing: sh scripts/install-spiffe-clients.sh`);
  const { svids, federatedBundles, expected } = await twoSvids();
  api.answer({ svids, federatedBundles });
  const client = spawn(GO_SPIFFE, ["watch", api.path], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]();
  const said = async () => JSON.parse((await lines.next()).value as string);
  try {
    assert.deepEqual(await said(), { ...expected, hints: ["internal", "external"] });
    const renewed = await issueSvid(authority, "spiffe://example.org/gateway");
    api.answer({ svids: [renewed] });
    assert.deepEqual(await said(), {
      ids: ["spiffe://example.org/gateway"],
      hints: [""],
      serials: [serialOf(renewed.issued.certificate)],
      bundles: { "example.org": 1 },
    });
    api.answer(Code.PermissionDenied);
    assert.match((await said()).error, /PermissionDenied desc = no identity issued/);
    api.answer({ svids: [renewed] });
    for (let answer = await said(); answer.error !== undefined; answer = await said());
  } finally {
    client.kill();
    await once(client, "close");
  }
});

test("PyPI's spiffe takes what the server of the tests says", async () => {
  assert.ok(existsSync(SPIFFE_PYTHON), `${SPIFFE_PYTHON} is missing: sh scripts/install-spiffe-clients.sh`);
  const { svids, federatedBundles, expected } = await twoSvids();
  api.answer({ svids, federatedBundles });
  const { stdout } = await promisify(execFile)(SPIFFE_PYTHON, [PYTHON, api.path]);
  assert.deepEqual(JSON.parse(stdout), expected);
});
