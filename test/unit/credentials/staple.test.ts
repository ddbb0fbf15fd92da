import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, it } from "node:test";
import type { CredentialChange } from "../../../src/credentials/credential.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { type Issued, issue, issueCa, NAMES } from "../../support/issuing.ts";
import { issueOcsp, type OcspIssuing, TRY_LATER } from "../../support/ocsp.ts";

const DAY = 86_400_000;
const until = { notAfter: new Date(Date.now() + 60 * DAY) };
const root = issueCa({ subject: "root", ...until });
const leaf = issue({ by: root, names: [NAMES.dns("a.example")], ...until });
const other = issue({ by: root, names: [NAMES.dns("a.example")], ...until });
const secret = { subject: { kind: "Secret", namespace: "default", name: "s" } };
const context = { subject: { kind: "TLSContext", namespace: "default", name: "served" } };

let store: CredentialStore;
let changes: CredentialChange[];

beforeEach(() => {
  store = new CredentialStore(systemClock);
  changes = [];
  store.onChange((change) => changes.push(change));
});

function present(issued: Issued): void {
  const privateKey = issued.keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  store.offer("s", { certificateChain: issued.pem, privateKey }, secret);
}

function staple(options: Partial<OcspIssuing> = {}): Buffer {
  const response = issueOcsp({ about: [leaf], by: root, ...options });
  offer(response);
  return response;
}

function offer(response: Buffer): void {
  store.offer("files/default/served", { ocspStaple: response.toString("base64") }, context);
}

const stapled = (): Buffer | undefined => store.credential("s")?.ocspStaple?.response;
const codes = (): string[] => store.diagnostics().map(({ code }) => code);
const events = (kind = "credential"): string[] =>
  changes.filter((change) => change.kind === kind).map(({ event, generation }) => `${event} ${generation}`);

describe("an OCSP staple", () => {
  it("is of the certificate that it is about, whichever came first", () => {
    present(leaf);
    assert.equal(stapled(), undefined);
    const response = staple();
    assert.ok(stapled()?.equals(response));
    assert.ok((store.credential("s")?.ocspStaple?.nextUpdate ?? 0) > Date.now());
    assert.deepEqual(events(), ["usable 1", "rotated 2"]);
    present(other);
    assert.equal(stapled(), undefined);
    assert.deepEqual(codes(), ["ocsp-staple-invalid"], "it is about no certificate any more");
    present(leaf);
    assert.ok(stapled()?.equals(response));
    assert.deepEqual(events(), ["usable 1", "rotated 2", "rotated 3", "rotated 4"]);
    assert.deepEqual(codes(), []);
  });

  it("that is renewed makes a new generation, and that is offered again does not", () => {
    present(leaf);
    const response = staple();
    offer(response);
    assert.equal(store.credential("s")?.generation, 2);
    const next = staple({ thisUpdate: new Date(Date.now() - 60_000) });
    assert.ok(stapled()?.equals(next));
    assert.equal(store.credential("s")?.generation, 3);
    store.remove("files/default/served");
    assert.equal(stapled(), undefined);
    assert.equal(store.credential("s")?.generation, 4);
  });

  for (const [what, bytes, says] of [
    ["no OCSP response", Buffer.from("hello"), /is no OCSP response/],
    ["an answer of a responder that failed", TRY_LATER, /tryLater/],
    ["about two certificates", issueOcsp({ about: [leaf, other], by: root }), /about 2 certificates/],
    ["of a revoked certificate", issueOcsp({ about: [leaf], by: root, status: "revoked" }), /is revoked/],
    [
      "of an unknown certificate",
      issueOcsp({ about: [leaf], by: root, status: "unknown" }),
      /is unknown to its CA/,
    ],
    ["cut off", issueOcsp({ about: [leaf], by: root }).subarray(0, 90), /is no OCSP response/],
  ] as const)
    it(`that is ${what} is not sent, and one that is in use stays`, () => {
      present(leaf);
      offer(bytes);
      assert.equal(stapled(), undefined);
      const [finding] = store.diagnostics();
      assert.deepEqual([finding?.code, finding?.effect], ["ocsp-staple-invalid", "informational"]);
      assert.match(finding?.message ?? "", says);
      const response = staple();
      offer(bytes);
      assert.ok(stapled()?.equals(response));
      assert.deepEqual(codes(), ["ocsp-staple-invalid", "credential-kept-previous"]);
    });

  it("about another CA's certificate of the same serial is not sent", () => {
    const stranger = issueCa({ subject: "stranger", ...until });
    present(leaf);
    staple({ by: stranger });
    assert.equal(stapled(), undefined);
  });

  it("is taken away when its time is over, and that is said", (test) => {
    test.mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
    present(leaf);
    staple({ nextUpdate: new Date(Date.now() + 120_000) });
    assert.notEqual(stapled(), undefined);
    for (let minutes = 0; minutes < 4; minutes++) test.mock.timers.tick(60_000);
    assert.equal(stapled(), undefined);
    assert.deepEqual(codes(), ["ocsp-staple-stale"]);
    assert.deepEqual(events(), ["usable 1", "rotated 2", "rotated 3"]);
    store.close();
  });

  it("is what OpenSSL calls one: the responses of these tests are real", () => {
    const folder = mkdtempSync(join(tmpdir(), "credence-ocsp-"));
    writeFileSync(join(folder, "response.der"), issueOcsp({ about: [leaf], by: root }));
    writeFileSync(join(folder, "ca.pem"), root.pem);
    const text = execFileSync(
      "openssl",
      ["ocsp", "-respin", join(folder, "response.der"), "-text", "-VAfile", join(folder, "ca.pem")],
      { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
    );
    assert.match(text, /Cert Status: good/);
    rmSync(folder, { recursive: true });
  });
});
