import assert from "node:assert/strict";
import { it } from "node:test";
import { refusedByOpenSsl } from "../../../src/credentials/openssl-loading.ts";
import { ecKeys, edKeys, type Issued, issue, issueCa, type KeyPair, rsaKeys } from "../../support/issuing.ts";

const refusal = (leaf: Issued, ...above: readonly Issued[]): string | null => {
  const chain = [leaf, ...above];
  const key = leaf.keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return refusedByOpenSsl(
    chain.map(({ certificate }) => certificate),
    chain.map(({ pem }) => pem).join(""),
    key,
  );
};

it("takes what OpenSSL takes, and refuses what it refuses, whatever was taken before", () => {
  const root = issueCa({ subject: "root", keys: rsaKeys() });
  const leafOf = (keys: KeyPair): Issued => issue({ by: root, subject: "leaf", keys });
  const weakCa = issueCa({ by: root, subject: "weak", keys: rsaKeys(1024) });
  const strongCa = issueCa({ by: root, subject: "strong", keys: rsaKeys() });
  for (let round = 0; round < 3; round++) {
    for (const keys of [rsaKeys(), ecKeys(), ecKeys("P-384"), edKeys()])
      assert.equal(refusal(leafOf(keys)), null);
    assert.match(refusal(leafOf(rsaKeys(1024))) ?? "", /TOO_SMALL/);
    const leaf = { by: strongCa, subject: "leaf" };
    assert.equal(refusal(issue(leaf), strongCa), null);
    assert.match(refusal(issue({ ...leaf, by: weakCa }), weakCa) ?? "", /TOO_SMALL/);
  }
});
