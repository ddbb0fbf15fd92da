import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, it } from "node:test";
import type { CredentialChange } from "../../../src/credentials/credential.ts";
import { CredentialStore } from "../../../src/credentials/store.ts";
import { systemClock } from "../../../src/telemetry/clock.ts";
import { type Issued, issue, issueCa, NAMES, PURPOSES, rsaKeys } from "../../support/issuing.ts";
import { issueOcsp, MUST_STAPLE, OCSP_SIGNING, type OcspIssuing, TRY_LATER } from "../../support/ocsp.ts";

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

  it("is sent once its certificate's CA is known to have signed it, and not where another did", () => {
    const alone = issue({ by: root, names: [NAMES.dns("b.example")], ...until });
    present(alone);
    const response = issueOcsp({ about: [alone], by: root, signer: issueCa({ subject: "root", ...until }) });
    offer(response);
    assert.ok(stapled()?.equals(response), "nobody here can tell");
    store.offer("ca", { trustAnchors: root.pem }, secret);
    assert.equal(stapled(), undefined);
    assert.deepEqual(codes(), ["ocsp-staple-invalid"]);
    const good = issueOcsp({ about: [alone], by: root });
    offer(good);
    assert.ok(stapled()?.equals(good));
    assert.deepEqual(codes(), []);
  });

  const usual = { by: root, keyUsage: ["digitalSignature"], names: [], ...until } as const;
  const responder = issue({ ...usual, subject: "responder", extendedKeyUsage: [OCSP_SIGNING] });
  const server = issue({ ...usual, subject: "a server", extendedKeyUsage: [PURPOSES.server] });
  const old = issue({
    ...usual,
    subject: "an old responder",
    extendedKeyUsage: [OCSP_SIGNING],
    notBefore: new Date(Date.now() - 3 * DAY),
    notAfter: new Date(Date.now() - DAY),
  });
  const stranger = issueCa({ subject: "stranger", ...until });
  const elsewhere = issue({ ...usual, by: stranger, subject: "elsewhere", extendedKeyUsage: [OCSP_SIGNING] });
  const namesake = issueCa({ subject: "root", ...until });
  const rsaRoot = issueCa({ subject: "RSA root", keys: rsaKeys(), ...until });
  const ofRsaRoot = issue({ by: rsaRoot, names: [NAMES.dns("c.example")], ...until });
  for (const [what, certificate, options, says] of [
    ["by the CA itself, named by its key", leaf, { isByKey: true }, null],
    ["by a responder of the CA's", leaf, { signer: responder, sent: [responder] }, null],
    [
      "by one that is named by its key",
      leaf,
      { signer: responder, sent: [server, responder], isByKey: true },
      null,
    ],
    [
      "by a responder whose certificate is not in it",
      leaf,
      { signer: responder },
      /nor by a responder whose certificate is in it/,
    ],
    ["by a server of the CA's", leaf, { signer: server, sent: [server] }, /a server .*without OCSPSigning/],
    ["by a responder that is out of its dates", leaf, { signer: old, sent: [old] }, /out of its dates/],
    [
      "by another CA's responder",
      leaf,
      { signer: elsewhere, sent: [elsewhere] },
      /elsewhere .*did not appoint/,
    ],
    ["by another CA", leaf, { signer: stranger, sent: [stranger] }, /stranger .*did not appoint/],
    ["by another CA of that name", leaf, { signer: namesake }, /is not signed by CN=root/],
    ["about a certificate of another key's CA", leaf, { keyOf: stranger }, /another CA's certificate/],
    ["with SHA-1", ofRsaRoot, { by: rsaRoot, hash: "sha1" }, /is signed by .*SHA-1/],
  ] as const)
    it(`that is signed ${what} is ${says === null ? "sent" : "not sent"}, and OpenSSL agrees`, () => {
      const by: Issued = "by" in options ? options.by : root;
      const response = issueOcsp({ about: [certificate], by, ...options });
      const privateKey = certificate.keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
      store.offer("s", { certificateChain: certificate.pem, privateKey, trustAnchors: by.pem }, secret);
      offer(response);
      const told = store.diagnostics().find(({ code }) => code === "ocsp-staple-invalid");
      assert.equal(stapled()?.equals(response) ?? false, says === null, String(told?.message));
      if (says !== null) assert.match(told?.message ?? "", says);
      // OpenSSL's own tool looks at the hash of no response's signature.
      if ("hash" in options) return;
      const folder = mkdtempSync(join(tmpdir(), "credence-ocsp-"));
      const file = (name: string, content: string | Buffer): string => {
        writeFileSync(join(folder, name), content);
        return join(folder, name);
      };
      const [ca, der] = [file("ca.pem", by.pem), file("response.der", response)];
      const words = [
        "-respin",
        der,
        "-CAfile",
        ca,
        "-issuer",
        ca,
        "-cert",
        file("leaf.pem", certificate.pem),
      ];
      const { stdout, stderr } = spawnSync("openssl", ["ocsp", ...words, "-no_nonce"], { encoding: "utf8" });
      const isFound = /leaf\.pem: good/.test(stdout);
      assert.equal(/Response verify OK/.test(stderr) && isFound, says === null, `${stdout}${stderr}`);
      rmSync(folder, { recursive: true });
    });

  it("that a certificate asks for (must-staple): a new one waits for it, and one that has none is told of", () => {
    const asking = issue({ by: root, extensions: [MUST_STAPLE], names: [NAMES.dns("a.example")], ...until });
    const next = issue({ by: root, extensions: [MUST_STAPLE], names: [NAMES.dns("a.example")], ...until });
    const serial = (): string | undefined => store.credential("s")?.facts[0]?.serial;
    const envoy = (): string | undefined => {
      const status = store.statuses.credential("s");
      return status?.usable === true ? status.refusedByEnvoy : undefined;
    };
    present(asking);
    assert.equal(serial(), asking.certificate.serialNumber.toLowerCase(), "better than none");
    assert.deepEqual(codes(), ["ocsp-staple-missing"]);
    assert.match(envoy() ?? "", /without one/);
    const response = issueOcsp({ about: [asking], by: root });
    offer(response);
    assert.ok(stapled()?.equals(response));
    assert.deepEqual([codes(), envoy()], [[], undefined]);
    assert.deepEqual(events(), ["usable 1", "usable 2"]);
    present(next);
    assert.equal(serial(), asking.certificate.serialNumber.toLowerCase());
    assert.deepEqual(codes(), ["ocsp-staple-missing", "credential-kept-previous"]);
    const nextResponse = issueOcsp({ about: [next], by: root });
    offer(nextResponse);
    assert.equal(serial(), next.certificate.serialNumber.toLowerCase());
    assert.ok(stapled()?.equals(nextResponse));
    assert.deepEqual([codes(), envoy()], [[], undefined]);
    assert.deepEqual(events().at(-1), "rotated 3");
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
