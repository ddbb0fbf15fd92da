import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { issue, issueCa, NAMES, PURPOSES } from "../support/issuing.ts";
import { issueOcsp } from "../support/ocsp.ts";
import { it } from "./engines.ts";
import { chainOf, plain, root } from "./verify-cases.ts";

const ca = issueCa({ subject: "Staple CA" });
const names = [NAMES.dns("edge.example"), NAMES.dns("localhost")];
const edge = issue({ by: ca, subject: "edge", names, extendedKeyUsage: [PURPOSES.server, PURPOSES.client] });

it("an OCSP staple is sent to clients that ask, and does not stand in the way of the certificate as a client's", async () => {
  const folder = mkdtempSync(join(tmpdir(), "credence-staple-"));
  const response = issueOcsp({ about: [edge], by: ca });
  const { cert, key } = {
    cert: edge.pem,
    key: edge.keys.privateKey.export({ type: "pkcs8", format: "pem" }),
  };
  const file = (name: string, content: string | Buffer): string => {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const subjects: string[] = [];
  const upstream = createServer(
    { ...chainOf(plain), ca: ca.pem, requestCert: true, rejectUnauthorized: true },
    (request, answer) => {
      subjects.push(
        (
          request.socket as unknown as { getPeerX509Certificate(): { subject: string } }
        ).getPeerX509Certificate().subject,
      );
      answer.end("ok");
    },
  );
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  const { port } = upstream.address() as AddressInfo;
  const files = {
    cert_chain_file: file("edge.pem", cert),
    private_key_file: file("edge.key", key as string),
  };
  const gateway = await startGateway({
    "routes.yaml":
      mappingYaml("m", { prefix: "/", service: `https://localhost:${port}`, tls: "edge" }) +
      tlsContextYaml("edge", {
        hosts: ["edge.example"],
        ...files,
        cacert_chain_file: file("ca.pem", root.pem),
        ocsp_staple_file: file("edge.ocsp", response),
      }),
  });
  try {
    const { staple, answer } = await stapled(gateway.httpsPort);
    assert.deepEqual(staple, response);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.deepEqual(subjects, ["CN=edge"]);
  } finally {
    await gateway.stop();
    upstream.close();
    upstream.closeAllConnections();
    rmSync(folder, { recursive: true });
  }
});

function stapled(port: number): Promise<{ readonly staple: Buffer | null; readonly answer: string }> {
  return new Promise((resolve, reject) => {
    let staple: Buffer | null = null;
    let answer = "";
    const socket = connect({
      port,
      host: "127.0.0.1",
      servername: "edge.example",
      ca: ca.pem,
      requestOCSP: true,
    });
    socket.on("OCSPResponse", (response: Buffer) => {
      staple = response;
    });
    socket.on("secureConnect", () =>
      socket.write("GET / HTTP/1.1\r\nHost: edge.example\r\nConnection: close\r\n\r\n"),
    );
    socket.setEncoding("latin1").on("data", (text: string) => {
      answer += text;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve({ staple, answer }));
  });
}
