import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import {
  handshakeFailure,
  rememberAddresses,
} from "../../../../../src/engines/envoy/ads/handshake-failure.ts";
import { createAuthority } from "../../../../../src/x509/authority.ts";

test("a client that is not let in is told apart: no certificate, one of another CA", async (t) => {
  const [ours, theirs] = await Promise.all([createAuthority("ours"), createAuthority("theirs")]);
  const own = await ours.issue({ commonName: "xds", dnsNames: ["localhost"], usage: "server" });
  const foreign = await theirs.issue({ commonName: "edge", usage: "client" });
  const server = createSecureServer({
    cert: own.certificate,
    key: own.privateKey,
    ca: [ours.certificate],
    requestCert: true,
    rejectUnauthorized: true,
  });
  rememberAddresses(server);
  t.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const shown: [{ cert?: string; key?: string }, RegExp][] = [
    [{}, /^it showed no certificate/],
    [{ cert: foreign.certificate, key: foreign.privateKey }, /issuer .* is not in --xds-client-ca/],
  ];
  for (const [identity, expected] of shown) {
    const failed = once(server, "tlsClientError");
    const options = { host: "127.0.0.1", port, servername: "localhost", ca: ours.certificate };
    const client = connect({ ...options, ...identity, ALPNProtocols: ["h2"] }).on("error", () => undefined);
    const [error, socket] = (await failed) as [Error, TLSSocket];
    const failure = handshakeFailure(error, socket);
    client.destroy();
    assert.match(failure.reason, expected);
    assert.equal(failure.address, "127.0.0.1");
  }
});
