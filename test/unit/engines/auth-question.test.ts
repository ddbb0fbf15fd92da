import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createServer } from "node:tls";
import { authServiceYaml } from "../../behaviour/auth-setup.ts";
import { certificates, mappingYaml, secretYaml, tlsContextYaml } from "../../support/certificates.ts";
import { startGateway } from "../../support/gateway.ts";
import { exchangeBytes } from "../../support/raw-client.ts";

// A service that refuses at the sight of the head, and closes, would reset its own answer where a body came behind it.
test("a question goes out in one piece with the body that it shows", async (t) => {
  const { ca, server } = await certificates();
  // Of TLS each write is a record, and each record is read by itself.
  const records: string[] = [];
  const authorizer = createServer({ cert: server.certificate, key: server.privateKey }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", (record: Buffer) => {
      records.push(record.toString("latin1"));
      if (records.join("").endsWith("\r\n\r\nhello"))
        socket.end("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    });
  });
  await once(authorizer.listen(0, "127.0.0.1"), "listening");
  const { port } = authorizer.address() as AddressInfo;
  const gateway = await startGateway(
    {
      "all.yaml":
        secretYaml("ca", { ca: ca.certificate }) +
        tlsContextYaml("authorizer", { ca_secret: "ca", sni: "localhost" }) +
        authServiceYaml("auth", {
          auth_service: `https://localhost:${port}`,
          tls: "authorizer",
          include_body: { max_bytes: 100, allow_partial: true },
        }) +
        mappingYaml("all", { prefix: "/", service: "127.0.0.1:9" }),
    },
    { engine: "node" },
  );
  t.after(async () => {
    await gateway.stop();
    authorizer.close();
  });
  const request = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
  assert.match(await exchangeBytes(gateway.httpPort, request), /^HTTP\/1\.1 403 /);
  assert.equal(records.length, 1, JSON.stringify(records));
});
