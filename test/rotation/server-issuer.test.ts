import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { it } from "../behaviour/engines.ts";
import { createAuthority, type IssuedCertificate } from "../../src/x509/authority.ts";
import { certificates, tlsContextYaml } from "../support/certificates.ts";
import { startGateway } from "../support/gateway.ts";
import { until } from "../support/until.ts";

it("a server's certificate may change to another CA than its clients' by file: what checks clients says nothing of it", async () => {
  const { ca, client } = await certificates();
  const elsewhere = await createAuthority("public CA");
  const folder = mkdtempSync(join(tmpdir(), "credence-issuer-"));
  const file = (name: string): string => join(folder, name);
  const install = ({ certificate, privateKey }: IssuedCertificate): void => {
    writeFileSync(file("tls.crt"), certificate);
    writeFileSync(file("tls.key"), privateKey);
  };
  const names = { commonName: "shop", dnsNames: ["shop.example"], usage: "server" } as const;
  install(await ca.issue(names));
  writeFileSync(file("clients.pem"), ca.certificate);
  const gateway = await startGateway({
    "edge.yaml": tlsContextYaml("edge", {
      hosts: ["shop.example"],
      cert_chain_file: file("tls.crt"),
      private_key_file: file("tls.key"),
      cacert_chain_file: file("clients.pem"),
      cert_required: true,
    }),
  });
  try {
    const shownBy = async (): Promise<string> => {
      const socket = connect({
        ...{ port: gateway.httpsPort, host: "127.0.0.1", servername: "shop.example" },
        ...{ cert: client.certificate, key: client.privateKey, rejectUnauthorized: false },
      });
      await once(socket, "secureConnect");
      const issuer = socket.getPeerX509Certificate()?.issuer ?? "";
      socket.destroy();
      return issuer;
    };
    assert.match(await shownBy(), /test CA/);
    install(await elsewhere.issue(names));
    await until(async () => /public CA/.test(await shownBy()), 10_000, "the new certificate");
    const { diagnostics } = await gateway.diag();
    assert.deepEqual(
      diagnostics.map(({ code }) => code).filter((code) => code !== "certificate-expires-soon"),
      [],
    );
  } finally {
    await gateway.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
