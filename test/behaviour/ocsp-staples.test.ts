import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { startGateway } from "../support/gateway.ts";
import { issue, issueCa, NAMES, PURPOSES } from "../support/issuing.ts";
import { issueOcsp, MUST_STAPLE } from "../support/ocsp.ts";
import { until } from "../support/until.ts";
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

it("a certificate that asks for a staple (must-staple) is served with one; without one it is told of, and Envoy, which takes none, is not given it", async () => {
  const asking = issue({ by: ca, subject: "edge", names, extensions: [MUST_STAPLE] });
  const [good, forged] = [
    issueOcsp({ about: [asking], by: ca }),
    issueOcsp({ about: [asking], by: ca, signer: issueCa({ subject: "Staple CA" }) }),
  ];
  const folder = mkdtempSync(join(tmpdir(), "credence-staple-"));
  const response = join(folder, "edge.ocsp");
  writeFileSync(response, forged);
  const routes =
    mappingYaml("m", { prefix: "/", service: "elsewhere.example", host_redirect: true }) +
    secretYaml("edge", {
      certificate: asking.pem,
      privateKey: asking.keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    }) +
    secretYaml("ca", { certificate: ca.pem });
  const context = (more: object): string =>
    tlsContextYaml("edge", { hosts: ["edge.example"], secret: "edge", ca_secret: "ca", ...more });
  const gateway = await startGateway({ "routes.yaml": routes + context({}) });
  const isEnvoy = engineUnderTest() === "envoy";
  const codes = async (): Promise<string[]> =>
    [...new Set((await gateway.diag()).diagnostics.map(({ code }) => code))].sort();
  const missing = ["ocsp-staple-missing", ...(isEnvoy ? ["tls-engine-cannot"] : [])];
  const answered = async (): Promise<unknown[]> => {
    const said = await stapled(gateway.httpsPort).catch(() => null);
    return [said?.staple ?? null, said === null ? null : /^HTTP\/1\.1 (\d+)/.exec(said.answer)?.[1]];
  };
  try {
    assert.deepEqual(await codes(), missing);
    assert.deepEqual(await answered(), isEnvoy ? [null, null] : [null, "301"]);
    await gateway.replace("routes.yaml", routes + context({ ocsp_staple_file: response }));
    await until(async () => (await codes()).includes("ocsp-staple-invalid"));
    assert.deepEqual(await codes(), ["ocsp-staple-invalid", ...missing]);
    assert.deepEqual(await answered(), isEnvoy ? [null, null] : [null, "301"]);
    writeFileSync(response, good);
    await gateway.gateway.control.reload();
    await until(async () => (await codes()).length === 0);
    await until(async () => (await answered())[1] === "301");
    assert.deepEqual(await answered(), [good, "301"]);
  } finally {
    await gateway.stop();
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
