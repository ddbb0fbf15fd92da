import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Authority, createAuthority, type IssuedCertificate } from "../../src/x509/authority.ts";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { type IstioSds, startIstioSds } from "../support/istio-sds.ts";
import { startIstioSidecar } from "../support/istio-sidecar.ts";
import { startLoad } from "../support/load.ts";
import { until } from "../support/until.ts";
import { describe, it } from "./engines.ts";

const GATEWAY = "spiffe://cluster.local/ns/edge/sa/gateway";
const ORDERS = "spiffe://cluster.local/ns/shop/sa/orders";
const SNI = "outbound_.8080_._.orders.shop.svc.cluster.local";

function workload(authority: Authority, id: string): Promise<IssuedCertificate> {
  return authority.issue({ commonName: "workload", uris: [id] });
}

function serialOf({ certificate }: IssuedCertificate): string {
  return new X509Certificate(certificate).serialNumber.toLowerCase();
}

async function answer(gateway: RunningGateway) {
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/`);
  await response.text();
  const { headers } = response;
  return {
    status: response.status,
    peer: headers.get("x-peer"),
    serial: headers.get("x-serial"),
    sni: headers.get("x-sni"),
  };
}

/** The agent of the gateway's pod and that of the service's: each gives its own workload's certificate. */
async function startAgents(): Promise<{ edge: IstioSds; shop: IstioSds; close(): Promise<void> }> {
  const [edge, shop] = [await startIstioSds(), await startIstioSds()];
  return {
    edge,
    shop,
    async close() {
      await edge.close();
      await shop.close();
    },
  };
}

function yaml(port: number, context: object): string {
  return (
    mappingYaml("m", { prefix: "/", service: `localhost:${port}`, tls: "istio-upstream", timeout_ms: 5000 }) +
    tlsContextYaml("istio-upstream", { alpn_protocols: "istio", sni: SNI, ...context })
  );
}

describe("Istio", () => {
  for (const mode of ["strict", "permissive"] as const)
    it(`a ${mode} side-car, a real Envoy on the same kind of SDS socket, takes the gateway for who it is`, async () => {
      const { edge, shop, close } = await startAgents();
      const authority = await createAuthority("cluster.local");
      const ROOTCA = { ca: authority.certificate };
      edge.push({ default: await workload(authority, GATEWAY), ROOTCA });
      shop.push({ default: await workload(authority, ORDERS), ROOTCA });
      const sidecar = await startIstioSidecar(shop.path, mode);
      const gateway = await startGateway({
        "routes.yaml": yaml(sidecar.port, { identity: { istio_sds: { socket: edge.path } } }),
      });
      try {
        const { status, peer, sni } = await answer(gateway);
        assert.deepEqual([status, peer, sni], [200, GATEWAY, SNI]);
        assert.deepEqual((await gateway.diag()).diagnostics, []);
        const inTheClear = await fetch(`http://127.0.0.1:${sidecar.port}/`).then(
          ({ status }) => status,
          () => "refused",
        );
        assert.equal(inTheClear, mode === "strict" ? "refused" : 200, "it is what it is called");
      } finally {
        await gateway.stop();
        await sidecar.stop();
        await close();
      }
    });

  it("a Secret of Istio's own type shows its certificate and verifies by its root", async () => {
    const { shop, close } = await startAgents();
    const authority = await createAuthority("cluster.local");
    shop.push({ default: await workload(authority, ORDERS), ROOTCA: { ca: authority.certificate } });
    const { certificate, privateKey } = await workload(authority, GATEWAY);
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const secret = (root: Authority): string =>
      `---\n${JSON.stringify({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "istio.default" },
        type: "istio.io/key-and-cert",
        data: {
          "cert-chain.pem": base64(certificate),
          "key.pem": base64(privateKey),
          "root-cert.pem": base64(root.certificate),
        },
      })}\n`;
    const sidecar = await startIstioSidecar(shop.path, "strict");
    const routes = yaml(sidecar.port, { secret: "istio.default", secret_namespacing: false });
    const gateway = await startGateway({ "routes.yaml": routes, "secret.yaml": secret(authority) });
    try {
      const { status, peer } = await answer(gateway);
      assert.deepEqual([status, peer], [200, GATEWAY]);
    } finally {
      await gateway.stop();
      await sidecar.stop();
      await close();
    }
  });

  it("only the service accounts that are named are talked to", async () => {
    const { edge, shop, close } = await startAgents();
    const authority = await createAuthority("cluster.local");
    const ROOTCA = { ca: authority.certificate };
    edge.push({ default: await workload(authority, GATEWAY), ROOTCA });
    shop.push({ default: await workload(authority, ORDERS), ROOTCA });
    const sidecar = await startIstioSidecar(shop.path, "strict");
    const context = (...spiffe_ids: string[]): string =>
      yaml(sidecar.port, { identity: { istio_sds: { socket: edge.path } }, verify: { spiffe_ids } });
    const gateway = await startGateway({ "routes.yaml": context(ORDERS.replace("orders", "stock")) });
    try {
      assert.equal((await answer(gateway)).status, 503);
      await gateway.replace("routes.yaml", context(ORDERS.replace("orders", "stock"), ORDERS));
      await until(async () => (await answer(gateway)).status === 200);
    } finally {
      await gateway.stop();
      await sidecar.stop();
      await close();
    }
  });

  it("a side-car whose certificate the agent's revocation lists name is not talked to", async () => {
    const { edge, shop, close } = await startAgents();
    const authority = await createAuthority("cluster.local");
    const orders = await workload(authority, ORDERS);
    const [own, ca] = [await workload(authority, GATEWAY), authority.certificate];
    edge.push({ default: own, ROOTCA: { ca, crl: await authority.revoke([]) } });
    shop.push({ default: orders, ROOTCA: { ca } });
    const sidecar = await startIstioSidecar(shop.path, "strict");
    const verify = { crl_policy: "require" };
    const gateway = await startGateway({
      "routes.yaml": yaml(sidecar.port, { identity: { istio_sds: { socket: edge.path } }, verify }),
    });
    try {
      assert.equal((await answer(gateway)).status, 200);
      const crl = await authority.revoke([new X509Certificate(orders.certificate).serialNumber]);
      edge.push({ default: own, ROOTCA: { ca, crl } });
      await until(async () => (await answer(gateway)).status === 503);
      shop.push({ default: await workload(authority, ORDERS), ROOTCA: { ca } });
      await until(async () => (await answer(gateway)).status === 200);
      edge.push({ default: own, ROOTCA: { ca } });
      await until(async () => (await answer(gateway)).status === 503, 20_000, "no lists any more: closed");
    } finally {
      await gateway.stop();
      await sidecar.stop();
      await close();
    }
  });

  it("CAs of several trust domains vouch each for their own", async () => {
    const { edge, shop, close } = await startAgents();
    const [authority, partner] = [
      await createAuthority("cluster.local"),
      await createAuthority("partner.example"),
    ];
    const bundle = authority.certificate + partner.certificate;
    const domains = { "cluster.local": authority.certificate, "partner.example": partner.certificate };
    edge.push({ default: await workload(authority, GATEWAY), ALL: { ca: "", domains } });
    const present = (by: Authority, id: string): Promise<void> =>
      workload(by, id).then((own) => shop.push({ default: own, ROOTCA: { ca: bundle } }));
    const theirs = "spiffe://partner.example/ns/shop/sa/orders";
    // Theirs of an ID that is not theirs to give.
    await present(partner, ORDERS);
    const sidecar = await startIstioSidecar(shop.path, "strict");
    const verify = { trust_domains: ["cluster.local", "partner.example"] };
    const gateway = await startGateway({
      "routes.yaml": yaml(sidecar.port, {
        identity: { istio_sds: { socket: edge.path, ca: "ALL" } },
        verify,
      }),
    });
    try {
      assert.equal((await answer(gateway)).status, 503);
      await present(partner, theirs);
      await until(async () => (await answer(gateway)).status === 200);
    } finally {
      await gateway.stop();
      await sidecar.stop();
      await close();
    }
  });

  it("an agent that lies and then is gone: what it gave serves until it ends, then the route is closed", async () => {
    const { edge, shop, close } = await startAgents();
    const authority = await createAuthority("cluster.local");
    const ROOTCA = { ca: authority.certificate };
    const notAfter = new Date(Date.now() + 5000);
    const good = await authority.issue({ commonName: "workload", uris: [GATEWAY], notAfter });
    const another = await workload(authority, GATEWAY);
    edge.push({ default: good, ROOTCA });
    shop.push({ default: await workload(authority, ORDERS), ROOTCA });
    const sidecar = await startIstioSidecar(shop.path, "strict");
    const gateway = await startGateway({
      "routes.yaml": yaml(sidecar.port, { identity: { istio_sds: { socket: edge.path } } }),
    });
    const codes = async () =>
      (await gateway.diag()).diagnostics.map(({ code, effect }) => `${code} ${effect}`);
    try {
      assert.equal((await answer(gateway)).status, 200);
      edge.push({ default: { ...good, privateKey: another.privateKey }, ROOTCA: { ca: "" } });
      await until(() => edge.requests.filter(({ error }) => error !== undefined).length === 2);
      assert.ok((await codes()).includes("issuer-unavailable kept-previous"));
      await edge.leave();
      if (Date.now() < notAfter.getTime() - 500) assert.equal((await answer(gateway)).status, 200);
      await until(async () => (await answer(gateway)).status === 503);
      edge.push({ default: another, ROOTCA });
      await edge.comeBack();
      await until(async () => (await answer(gateway)).status === 200);
      // The other stream may be a moment later.
      await until(async () => (await codes()).length === 0);
    } finally {
      await gateway.stop();
      await sidecar.stop();
      await close();
    }
  });

  it("a service account of another trust domain is not talked to, though its CA is the mesh's", async () => {
    const { edge, shop, close } = await startAgents();
    const authority = await createAuthority("cluster.local");
    const ROOTCA = { ca: authority.certificate };
    edge.push({ default: await workload(authority, GATEWAY), ROOTCA });
    shop.push({ default: await workload(authority, "spiffe://other.local/ns/shop/sa/orders"), ROOTCA });
    const sidecar = await startIstioSidecar(shop.path, "strict");
    const gateway = await startGateway({
      "routes.yaml": yaml(sidecar.port, { identity: { istio_sds: { socket: edge.path } } }),
    });
    try {
      assert.equal((await answer(gateway)).status, 503);
    } finally {
      await gateway.stop();
      await sidecar.stop();
      await close();
    }
  });

  it("rotations by SDS lose no request, where gateway and side-car have all from one socket", async () => {
    const sds = await startIstioSds();
    let authority = await createAuthority("cluster.local 0");
    let bundle = authority.certificate;
    let own = await workload(authority, GATEWAY);
    const push = async (): Promise<void> => {
      own = await workload(authority, GATEWAY);
      sds.push({ default: own, ROOTCA: { ca: bundle } });
    };
    await push();
    const sidecar = await startIstioSidecar(sds.path, "strict");
    const gateway = await startGateway({
      "routes.yaml": yaml(sidecar.port, { identity: { istio_sds: { socket: sds.path } } }),
    });
    const isSeen = async (): Promise<boolean> =>
      BigInt(`0x${(await answer(gateway)).serial}`) === BigInt(`0x${serialOf(own)}`);
    try {
      await until(isSeen);
      const { revision } = await gateway.diag();
      const running = startLoad(`http://127.0.0.1:${gateway.httpPort}/`, 4);
      for (let round = 1; round <= 3; round++) {
        for (let count = 0; count < 3; count++) {
          await push();
          await until(isSeen);
        }
        const next = await createAuthority(`cluster.local ${round}`);
        // Known to both before anybody shows a certificate of it: whether they acknowledged it is seen.
        bundle += next.certificate;
        const asked = sds.requests.length;
        await push();
        await until(isSeen);
        await until(() => sds.requests.length >= asked + 4);
        authority = next;
      }
      const { requests, failures } = await running.stop();
      assert.deepEqual(failures, []);
      assert.ok(requests > 20, `only ${requests} requests`);
      assert.deepEqual((await gateway.diag()).revision, revision, "a rotation compiles nothing");
      assert.deepEqual(
        sds.requests.filter(({ error }) => error !== undefined),
        [],
      );
      assert.equal(new Set(sds.requests.map(({ node }) => node)).size, 2, "both asked");
    } finally {
      await gateway.stop();
      await sidecar.stop();
      await sds.close();
    }
  });

  it("mounted certificates: replaced by symlink and by overwrite, no torn pair is shown and no request lost", async () => {
    const { shop, close } = await startAgents();
    const authority = await createAuthority("cluster.local");
    shop.push({ default: await workload(authority, ORDERS), ROOTCA: { ca: authority.certificate } });
    const folder = mkdtempSync(join(tmpdir(), "istio-certs-"));
    const write = (directory: string, { certificate, privateKey }: IssuedCertificate): void => {
      writeFileSync(join(directory, "cert-chain.pem"), certificate);
      writeFileSync(join(directory, "key.pem"), privateKey);
      writeFileSync(join(directory, "root-cert.pem"), authority.certificate);
    };
    let versions = 0;
    /** As the kubelet does: a new folder, and one rename of the link that all files go through. */
    const swap = (issued: IssuedCertificate): void => {
      const version = `..version-${++versions}`;
      mkdirSync(join(folder, version));
      write(join(folder, version), issued);
      symlinkSync(version, join(folder, "..next"));
      renameSync(join(folder, "..next"), join(folder, "..data"));
    };
    let own = await workload(authority, GATEWAY);
    swap(own);
    for (const file of ["cert-chain.pem", "key.pem", "root-cert.pem"])
      symlinkSync(join("..data", file), join(folder, file));
    const sidecar = await startIstioSidecar(shop.path, "strict");
    const gateway = await startGateway(
      { "routes.yaml": yaml(sidecar.port, { secret: "istio-certs" }) },
      { istioCerts: folder },
    );
    const isSeen = async (): Promise<boolean> =>
      BigInt(`0x${(await answer(gateway)).serial}`) === BigInt(`0x${serialOf(own)}`);
    try {
      const { status, peer, sni } = await answer(gateway);
      assert.deepEqual([status, peer, sni], [200, GATEWAY, SNI]);
      const running = startLoad(`http://127.0.0.1:${gateway.httpPort}/`, 4);
      for (let round = 0; round < 4; round++) {
        own = await workload(authority, GATEWAY);
        if (round % 2 === 0) swap(own);
        else write(folder, own);
        await until(isSeen);
      }
      const { failures } = await running.stop();
      assert.deepEqual(failures, []);
      assert.deepEqual((await gateway.diag()).diagnostics, []);
    } finally {
      await gateway.stop();
      await sidecar.stop();
      await close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
