import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { contextParameters } from "../../../../src/model/openssl.ts";
import type { TlsParameters } from "../../../../src/model/tls.ts";
import { createAuthority } from "../../../../src/x509/authority.ts";

const PARAMETERS: TlsParameters = {
  minVersion: "v1.2",
  maxVersion: "v1.2",
  cipherSuites: [],
  groups: [],
  alpn: [],
};
const authority = await createAuthority("CA");
const issued = await authority.issue({ commonName: "peer", dnsNames: ["peer.test"] });
const PAIR = { cert: issued.certificate, key: issued.privateKey };
const OURS = contextParameters(PARAMETERS);
const THEIRS = { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" } as const;

/** Both ends of a connection under TLS 1.2, on which bytes have gone both ways. */
async function pair(t: TestContext, server: object, client: object): Promise<[TLSSocket, TLSSocket]> {
  const listening = createServer({ ...PAIR, ...server });
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  const accepted = once(listening, "secureConnection") as Promise<[TLSSocket]>;
  const { port } = listening.address() as AddressInfo;
  const ours = connect({
    port,
    host: "127.0.0.1",
    ca: authority.certificate,
    servername: "peer.test",
    ...client,
  });
  await once(ours, "secureConnect");
  const [theirs] = await accepted;
  t.after(() => {
    ours.destroy();
    theirs.destroy();
    listening.close();
  });
  for (const [from, to] of [
    [ours, theirs],
    [theirs, ours],
  ] as const) {
    from.on("error", () => {});
    to.on("data", () => {});
    from.write("x");
    await once(to, "data");
  }
  return [ours, theirs];
}

/** Who has a connection by one certificate could show another one in the middle of it, which nobody looks at. */
async function renegotiates(from: TLSSocket): Promise<boolean> {
  return new Promise((resolve) => {
    // Who asked in vain need not be told of it.
    setTimeout(() => resolve(false), 1000);
    from.once("error", () => resolve(false));
    from.once("close", () => resolve(false));
    const sent = from.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error === null));
    if (sent === false) resolve(false);
  });
}

test("two ends that allow it renegotiate", async (t) => {
  const [client] = await pair(t, THEIRS, THEIRS);
  assert.equal(await renegotiates(client), true);
});

test("a client may not renegotiate with a listener", async (t) => {
  const [client] = await pair(t, OURS, THEIRS);
  assert.equal(await renegotiates(client), false);
});

test("an upstream may not have us renegotiate", async (t) => {
  const [, server] = await pair(t, THEIRS, OURS);
  assert.equal(await renegotiates(server), false);
});
