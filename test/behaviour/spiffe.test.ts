import assert from "node:assert/strict";
import { hash, X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import type { IssuedCertificate } from "../../src/x509/authority.ts";
import { type Authority, createAuthority } from "../../src/x509/authority.ts";
import { mappingYaml, tlsContextYaml } from "../support/certificates.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { type RunningGateway, startGateway } from "../support/gateway.ts";
import { issue } from "../support/issuing.ts";
import { startLoad } from "../support/load.ts";
import { getByGoSpiffe, startGoSpiffeServer } from "../support/spiffe-client.ts";
import { startSpiffePeer } from "../support/spiffe-peer.ts";
import { until } from "../support/until.ts";
import {
  derOf,
  issueSvid,
  revocationList,
  startWorkloadApi,
  type Svid,
  type WorkloadApi,
} from "../support/workload-api.ts";
import { describe, it } from "./engines.ts";

const GATEWAY = "spiffe://example.org/gateway";
const BACKEND = "spiffe://example.org/backend";

function yaml(api: WorkloadApi, port: number, spiffe: object = {}, context: object = {}): string {
  return (
    mappingYaml("m", { prefix: "/", service: `localhost:${port}`, tls: "ctx", timeout_ms: 5000 }) +
    tlsContextYaml("ctx", { identity: { spiffe: { socket: api.path, id: GATEWAY, ...spiffe } }, ...context })
  );
}

async function answer(gateway: RunningGateway): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${gateway.httpPort}/`);
  return `${response.status} ${await response.text()}`;
}

function serialOf({ certificate }: IssuedCertificate): string {
  return new X509Certificate(certificate).serialNumber.toLowerCase();
}

describe("SPIFFE Workload API", () => {
  it("rotations of certificate and CA under load lose no request to a go-spiffe server, which sees the newest", async () => {
    const api = await startWorkloadApi();
    let authority = await createAuthority("example.org 0");
    let bundle = authority.certificate;
    const rotate = async (): Promise<Svid> => {
      const own = await issueSvid(authority, GATEWAY, { bundle });
      api.answer({ svids: [await issueSvid(authority, BACKEND, { bundle }), own] });
      return own;
    };
    await rotate();
    const server = await startGoSpiffeServer(api.path, "example.org");
    const gateway = await startGateway({ "routes.yaml": yaml(api, server.port) });
    try {
      const { revision } = await gateway.diag();
      const running = startLoad(`http://127.0.0.1:${gateway.httpPort}/`, 4);
      let newest: Svid | undefined;
      const seen = async (serial: string): Promise<boolean> =>
        (await answer(gateway)) === `200 ${GATEWAY} ${serial}`;
      for (let round = 1; round <= 3; round++) {
        for (let count = 0; count < 3; count++) {
          newest = await rotate();
          const serial = serialOf(newest.issued);
          await until(() => seen(serial));
        }
        // A new root: known to both sides before anybody shows a certificate of it.
        const next = await createAuthority(`example.org ${round}`);
        bundle += next.certificate;
        newest = await rotate();
        const serial = serialOf(newest.issued);
        await until(() => seen(serial));
        authority = next;
      }
      const { requests, failures } = await running.stop();
      assert.deepEqual(failures, []);
      assert.ok(requests > 20, `only ${requests} requests`);
      assert.deepEqual((await gateway.diag()).revision, revision, "a rotation compiles nothing");
    } finally {
      await gateway.stop();
      await server.close();
      await api.close();
    }
  });

  it("an agent that is gone: what it gave serves until it ends, then the route is closed; back again, it is open", async () => {
    const api = await startWorkloadApi();
    const authority = await createAuthority("example.org");
    const peer = await startPeer(authority, BACKEND);
    const notAfter = new Date(Date.now() + 4000);
    api.answer({ svids: [await issueSvid(authority, GATEWAY, { notAfter })] });
    const gateway = await startGateway({ "routes.yaml": yaml(api, peer.port) });
    const codes = async () =>
      (await gateway.diag()).diagnostics.map(({ code, effect }) => `${code} ${effect}`);
    try {
      assert.equal(await answer(gateway), `200 ${GATEWAY}`);
      await api.leave();
      await until(async () => (await codes()).includes("issuer-unavailable kept-previous"));
      if (Date.now() < notAfter.getTime() - 500) assert.equal(await answer(gateway), `200 ${GATEWAY}`);
      await until(async () => (await answer(gateway)).startsWith("503"));
      assert.ok((await codes()).includes("certificate-expired route-fails-closed"), (await codes()).join());
      api.answer({ svids: [await issueSvid(authority, GATEWAY)] });
      await api.comeBack();
      await until(async () => (await answer(gateway)) === `200 ${GATEWAY}`);
      assert.deepEqual(
        (await codes()).filter((code) => code.startsWith("issuer")),
        [],
      );
    } finally {
      await gateway.stop();
      await peer.close();
      await api.close();
    }
  });

  it("an agent that is slow or has no identity closes its route alone, until it has one", async () => {
    const api = await startWorkloadApi();
    const authority = await createAuthority("example.org");
    const peer = await startPeer(authority, BACKEND);
    const gateway = await startGateway({
      "routes.yaml":
        yaml(api, peer.port) +
        mappingYaml("ready", { prefix: "/ready/", service: "elsewhere.example", host_redirect: true }),
    });
    try {
      assert.match(await answer(gateway), /^503 /);
      const other = await fetch(`http://127.0.0.1:${gateway.httpPort}/ready/`, { redirect: "manual" });
      assert.equal(other.status, 301);
      api.answer({ svids: [await issueSvid(authority, GATEWAY)] });
      await until(async () => (await answer(gateway)) === `200 ${GATEWAY}`);
    } finally {
      await gateway.stop();
      await peer.close();
      await api.close();
    }
  });

  it("go-spiffe reaches a host that is served with an SVID, and nobody without one does", async () => {
    const api = await startWorkloadApi();
    const authority = await createAuthority("example.org");
    api.answer({ svids: [await issueSvid(authority, GATEWAY)] });
    const gateway = await startGateway({
      "routes.yaml":
        mappingYaml("m", { prefix: "/", host_redirect: true, service: "elsewhere.example" }) +
        tlsContextYaml("ctx", {
          hosts: ["localhost"],
          cert_required: true,
          identity: { spiffe: { socket: api.path } },
        }),
    });
    const url = `https://localhost:${gateway.httpsPort}/`;
    try {
      assert.match(await getByGoSpiffe(api.path, url, GATEWAY), /^Get .*elsewhere\.example/, "redirected");
      assert.match(
        await getByGoSpiffe(api.path, url, BACKEND),
        /unexpected ID "spiffe:\/\/example\.org\/gateway"/,
      );
      const stranger = await startWorkloadApi();
      stranger.answer({
        svids: [
          await issueSvid(await createAuthority("stranger"), GATEWAY, { bundle: authority.certificate }),
        ],
      });
      assert.doesNotMatch(await getByGoSpiffe(stranger.path, url, GATEWAY), /elsewhere\.example/);
      await stranger.close();
    } finally {
      await gateway.stop();
      await api.close();
    }
  });

  it("a peer that a list of the agent's revokes is not talked to, where a policy asks for lists", async () => {
    const api = await startWorkloadApi();
    const authority = await createAuthority("example.org");
    const [peer, revoked] = [await issueSvid(authority, BACKEND), await issueSvid(authority, BACKEND)];
    const own = await issueSvid(authority, GATEWAY);
    api.answer({ svids: [own] });
    const server = await startSpiffePeer(peer.issued, [authority.certificate]);
    const gateway = await startGateway({
      "routes.yaml": yaml(api, server.port, {}, { verify: { crl_policy: "require" } }),
    });
    const list = async (...serials: string[]): Promise<void> =>
      api.answer({ svids: [own], crl: [await revocationList(authority, serials)] });
    try {
      assert.match(await answer(gateway), /^503/, "there is no list");
      await list(serialOf(revoked.issued));
      await until(async () => (await answer(gateway)) === `200 ${GATEWAY}`);
      await list(serialOf(revoked.issued), serialOf(peer.issued));
      await until(async () => (await answer(gateway)).startsWith("503"));
    } finally {
      await gateway.stop();
      await server.close();
      await api.close();
    }
  });

  it("pins hold beside trust domains: for peers of one on both engines, for those of several not on Envoy, which says so", async () => {
    const { api, ours, theirs } = await startFederation();
    const partner = "spiffe://partner.example/orders";
    const [good, other] = [await issueSvid(ours, BACKEND), await issueSvid(ours, BACKEND)];
    const [theirGood, ourOfTheirs] = [await issueSvid(theirs, partner), await issueSvid(ours, partner)];
    const pinned = (svid: Svid): object => ({ spki_sha256: [pinOf(svid)] });
    const both = { trust_domains: ["example.org", "partner.example"] };
    const federated = { federated: ["partner.example"] };
    const cases: readonly [string, Svid, object, object, boolean | "not on Envoy"][] = [
      ["the key", good, {}, pinned(good), true],
      ["another key", other, {}, pinned(good), false],
      ["the key of an ID", good, {}, { ...pinned(good), spiffe_ids: [BACKEND] }, true],
      ["the key of another ID", good, {}, { ...pinned(good), spiffe_ids: [`${BACKEND}/2`] }, false],
      ["theirs", theirGood, federated, { ...pinned(theirGood), trust_domains: ["partner.example"] }, true],
      [
        "theirs, another key",
        theirGood,
        federated,
        { ...pinned(good), trust_domains: ["partner.example"] },
        false,
      ],
      ["theirs, not asked for", theirGood, federated, { ...pinned(theirGood), spiffe_ids: [BACKEND] }, false],
      [
        "their ID by our CA",
        ourOfTheirs,
        federated,
        { ...pinned(ourOfTheirs), trust_domains: ["partner.example"] },
        false,
      ],
      [
        "theirs, not trusted",
        theirGood,
        {},
        { ...pinned(theirGood), trust_domains: ["partner.example"] },
        false,
      ],
      ["of two domains", good, federated, { ...pinned(good), ...both }, "not on Envoy"],
      ["of any domain", good, federated, pinned(good), "not on Envoy"],
    ];
    try {
      for (const [what, svid, spiffe, verify, isTaken] of cases) {
        const peer = await startSpiffePeer(svid.issued, [ours.certificate]);
        const gateway = await startGateway({ "routes.yaml": yaml(api, peer.port, spiffe, { verify }) });
        try {
          const isClosed = isTaken === "not on Envoy" && engineUnderTest() === "envoy";
          const said = await answer(gateway);
          if (isTaken !== false && !isClosed) assert.equal(said, `200 ${GATEWAY}`, what);
          else assert.match(said, /^50[23] /, what);
          const { diagnostics } = await gateway.diag();
          assert.equal(
            diagnostics.some(({ code }) => code === "tls-engine-cannot"),
            isClosed,
            what,
          );
        } finally {
          await gateway.stop();
          await peer.close();
        }
      }
    } finally {
      await api.close();
    }
  });

  it("clients with SVIDs are held to pins, lists and depths on both engines", async () => {
    const api = await startWorkloadApi();
    const authority = await createAuthority("example.org");
    const middle = await authority.issueAuthority("middle");
    const [plain, revoked] = [await issueSvid(authority, BACKEND), await issueSvid(authority, BACKEND)];
    const deep = await issueSvid(middle, BACKEND);
    const lists = await revocationList(authority, [serialOf(revoked.issued)]);
    const own = await issueSvid(authority, GATEWAY);
    api.answer({ svids: [own], crl: [lists] });
    const host = (name: string, verify: object): string =>
      tlsContextYaml(name, {
        hosts: [`${name}.example`],
        cert_required: true,
        identity: { spiffe: { socket: api.path } },
        verify,
      });
    const gateway = await startGateway({
      "routes.yaml":
        mappingYaml("m", { prefix: "/", host_redirect: true, service: "elsewhere.example" }) +
        host("pinned", { spki_sha256: [pinOf(plain)] }) +
        host("listed", { crl_policy: "require" }) +
        host("shallow", { max_depth: 0 }) +
        host("deeper", { max_depth: 1 }),
    });
    const none = issue({ by: null });
    try {
      assert.deepEqual((await gateway.diag()).diagnostics, []);
      for (const [name, client, isTaken] of [
        ["pinned", plain, true],
        ["pinned", revoked, false],
        ["listed", plain, true],
        ["listed", revoked, false],
        ["shallow", plain, true],
        ["shallow", deep, false],
        ["deeper", deep, true],
      ] as const)
        assert.equal(await isServed(gateway, `${name}.example`, client.issued), isTaken, name);
      assert.equal(
        await isServed(gateway, "pinned.example", {
          certificate: none.pem,
          privateKey: none.keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
        }),
        false,
      );
    } finally {
      await gateway.stop();
      await api.close();
    }
  });

  it("peers of a federated domain are verified by its own CAs, and no domain's CA vouches for another's IDs", async () => {
    const { api, ours, theirs } = await startFederation();
    const partner = "spiffe://partner.example/orders";
    const cases: readonly [string, Authority, string, object, boolean][] = [
      ["our own", ours, BACKEND, {}, true],
      ["theirs, asked for by domain", theirs, partner, { trust_domains: ["partner.example"] }, true],
      ["theirs, asked for by ID", theirs, partner, { spiffe_ids: [partner] }, true],
      ["theirs, not asked for", theirs, partner, {}, false],
      ["our ID by their CA", theirs, BACKEND, {}, false],
      ["our ID by their CA, asked for", theirs, BACKEND, { spiffe_ids: [BACKEND] }, false],
      ["their ID by our CA", ours, partner, { trust_domains: ["partner.example"] }, false],
    ];
    try {
      for (const [what, authority, id, verify, isTaken] of cases) {
        const peer = await startPeer(authority, id, [ours.certificate, theirs.certificate]);
        const context = Object.keys(verify).length === 0 ? {} : { verify };
        const gateway = await startGateway({
          "routes.yaml": yaml(api, peer.port, { federated: ["partner.example"] }, context),
        });
        try {
          const said = await answer(gateway);
          if (isTaken) assert.equal(said, `200 ${GATEWAY}`, what);
          else assert.match(said, /^50[23] /, what);
        } finally {
          await gateway.stop();
          await peer.close();
        }
      }
    } finally {
      await api.close();
    }
  });
});

/** An agent of example.org that knows the CA of partner.example as well. */
async function startFederation() {
  const api = await startWorkloadApi();
  const [ours, theirs] = [await createAuthority("example.org"), await createAuthority("partner.example")];
  api.answer({
    svids: [await issueSvid(ours, GATEWAY)],
    federatedBundles: { "spiffe://partner.example": derOf(theirs.certificate) },
  });
  return { api, ours, theirs };
}

function pinOf({ issued: { certificate } }: Svid): string {
  const { publicKey } = new X509Certificate(certificate);
  return hash("sha256", publicKey.export({ type: "spki", format: "der" }), "base64");
}

function isServed(
  { httpsPort }: RunningGateway,
  servername: string,
  { certificate, privateKey }: Pick<IssuedCertificate, "certificate" | "privateKey">,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({
      port: httpsPort,
      host: "127.0.0.1",
      servername,
      rejectUnauthorized: false,
      cert: certificate,
      key: privateKey,
    });
    socket.on("secureConnect", () =>
      socket.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`),
    );
    socket.on("data", () => resolve(true));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(false));
  });
}

/** A server with an SVID that asks for one, and answers with the client's. */
async function startPeer(
  authority: Authority,
  id: string,
  clientCas: readonly string[] = [authority.certificate],
): ReturnType<typeof startSpiffePeer> {
  return startSpiffePeer((await issueSvid(authority, id)).issued, clientCas);
}
