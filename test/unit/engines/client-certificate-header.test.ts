import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { certificateElement } from "../../../src/engines/node/client-certificate-header.ts";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import { certificates } from "../../support/certificates.ts";

test("Chain has what the client sent, leaf first and without the root; Cert the leaf", async (context) => {
  const { ca, server: identity } = await certificates();
  const intermediate = await ca.issueAuthority("intermediate CA");
  const client = await intermediate.issue({ commonName: 'client "x"', dnsNames: ["c.example"] });
  const server = createServer({
    cert: identity.certificate,
    key: identity.privateKey,
    ca: ca.certificate,
    requestCert: true,
  });
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "secureConnection") as Promise<[TLSSocket]>;
  const { port } = server.address() as AddressInfo;
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: "localhost",
    ca: ca.certificate,
    cert: client.certificate,
    key: client.privateKey,
  });
  context.after(() => socket.destroy());
  const [peer] = await accepted;
  context.after(() => peer.destroy());
  const certificate = peer.getPeerX509Certificate();
  assert.ok(certificate !== undefined && peer.authorized);
  const element = certificateElement(certificate, null, ["cert", "chain", "subject", "dns"]);
  const found =
    /^Hash=[0-9a-f]{64};Cert="([^"]+)";Chain="([^"]+)";Subject="CN=client \\"x\\"";DNS=c\.example$/.exec(
      element,
    );
  assert.ok(found !== null, element.slice(-200));
  const subjects = (text: string): (string | undefined)[] =>
    decodeURIComponent(text)
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .map((pem) => parseCertificate(pem)?.subject);
  const leaf = 'CN=client \\"x\\"';
  assert.deepEqual(subjects(found[1] as string), [leaf]);
  assert.deepEqual(subjects(found[2] as string), [leaf, "CN=intermediate CA"]);
});
