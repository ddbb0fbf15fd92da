import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { TLSSocket } from "node:tls";
import type { Credential, CredentialReader } from "../../../../src/credentials/credential.ts";
import { translateClusters } from "../../../../src/engines/envoy/clusters.ts";
import { secretNames } from "../../../../src/engines/envoy/secret-names.ts";
import { translateSecrets } from "../../../../src/engines/envoy/secrets.ts";
import type { Cluster } from "../../../../src/model/cluster.ts";
import type { GatewayModel } from "../../../../src/model/gateway.ts";
import type { UpstreamTls } from "../../../../src/model/tls.ts";
import { type Authority, createAuthority, type IssueOptions } from "../../../../src/x509/authority.ts";
import { verifyPeerName } from "../../../../src/x509/names.ts";
import { type EnvoyOfClusters, startEnvoyOfClusters } from "../../../support/envoy-of-clusters.ts";

const PARAMETERS = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
} as const;
type Originate = Extract<UpstreamTls, { mode: "originate" }>;

interface Peer {
  readonly by: "root" | "intermediate" | "stranger";
  readonly certificate: IssueOptions;
}

const leaf = (options: Omit<IssueOptions, "commonName">, by: Peer["by"] = "root"): Peer => ({
  by,
  certificate: { commonName: "peer.example", usage: "server", ...options },
});

/** What is dialled, as what, and whether it is to be believed; the names are put to `verifyPeerName` too. */
const CASES: readonly {
  readonly what: string;
  readonly peer: Peer;
  readonly verification: Originate["verification"];
  readonly sni?: string;
  /** Our own certificate is one of the trust domain mesh.example. */
  readonly spiffe?: true;
  readonly believed: boolean;
}[] = [
  {
    what: "a name",
    peer: leaf({ dnsNames: ["peer.example"] }),
    verification: named("peer.example"),
    believed: true,
  },
  {
    what: "another name",
    peer: leaf({ dnsNames: ["peer.example"] }),
    verification: named("other.example"),
    believed: false,
  },
  {
    what: "a name in capitals",
    peer: leaf({ dnsNames: ["PEER.example"] }),
    verification: named("peer.example"),
    believed: true,
  },
  {
    what: "one of two names",
    peer: leaf({ dnsNames: ["a.example", "peer.example"] }),
    verification: named("peer.example"),
    believed: true,
  },
  {
    what: "the root's dot",
    peer: leaf({ dnsNames: ["peer.example"] }),
    verification: named("peer.example."),
    believed: true,
  },
  { what: "the CN alone", peer: leaf({}), verification: named("peer.example"), believed: false },
  {
    what: "the CN beside other names",
    peer: leaf({ dnsNames: ["x.example"] }),
    verification: named("peer.example"),
    believed: false,
  },
  {
    what: "a wildcard",
    peer: leaf({ dnsNames: ["*.example.com"] }),
    verification: named("a.example.com"),
    believed: true,
  },
  {
    what: "a wildcard and two labels",
    peer: leaf({ dnsNames: ["*.example.com"] }),
    verification: named("a.b.example.com"),
    believed: false,
  },
  {
    what: "a wildcard and none",
    peer: leaf({ dnsNames: ["*.example.com"] }),
    verification: named("example.com"),
    believed: false,
  },
  {
    what: "a wildcard for a part of a label",
    peer: leaf({ dnsNames: ["a*.example.com"] }),
    verification: named("ab.example.com"),
    believed: false,
  },
  {
    what: "a wildcard of a whole domain's names",
    peer: leaf({ dnsNames: ["*.example"] }),
    verification: named("a.example"),
    believed: false,
  },
  {
    what: "a wildcard in capitals",
    peer: leaf({ dnsNames: ["*.EXAMPLE.com"] }),
    verification: named("a.example.com"),
    believed: true,
  },
  {
    what: "a wildcard and an underscore",
    peer: leaf({ dnsNames: ["*.example.com"] }),
    verification: named("a_b.example.com"),
    believed: false,
  },
  {
    what: "a name with a character for the dot",
    peer: leaf({ dnsNames: ["peerxexample.com"] }),
    verification: named("peer.example.com"),
    believed: false,
  },
  {
    what: "an A-label and a wildcard",
    peer: leaf({ dnsNames: ["*.example.com"] }),
    verification: named("xn--bcher-kva.example.com"),
    believed: true,
  },
  {
    what: "a wildcard in the middle",
    peer: leaf({ dnsNames: ["a.*.example.com"] }),
    verification: named("a.b.example.com"),
    believed: false,
  },
  {
    what: "a wildcard asked for",
    peer: leaf({ dnsNames: ["*.example.com"] }),
    verification: named("*.example.com"),
    believed: false,
  },
  {
    what: "a name that begins with a dot",
    peer: leaf({ dnsNames: ["a.example.com"] }),
    verification: named(".example.com"),
    believed: false,
  },
  {
    what: "a name with an underscore",
    peer: leaf({ dnsNames: ["my_svc.example"] }),
    verification: named("my_svc.example"),
    believed: true,
  },
  {
    what: "an address",
    peer: leaf({ ipAddresses: ["127.0.0.1"] }),
    verification: named("127.0.0.1"),
    believed: true,
  },
  {
    what: "another address",
    peer: leaf({ ipAddresses: ["127.0.0.2"] }),
    verification: named("127.0.0.1"),
    believed: false,
  },
  {
    what: "an address as a name",
    peer: leaf({ dnsNames: ["127.0.0.1"] }),
    verification: named("127.0.0.1"),
    believed: false,
  },
  {
    what: "an address of IPv6",
    peer: leaf({ ipAddresses: ["::1"] }),
    verification: named("::1"),
    believed: true,
  },
  {
    what: "an address of IPv6 in other words",
    peer: leaf({ ipAddresses: ["fd00::1"] }),
    verification: named("FD00:0:0::0001"),
    believed: true,
  },
  {
    what: "a chain to a stranger",
    peer: leaf({ dnsNames: ["peer.example"] }, "stranger"),
    verification: named("peer.example"),
    believed: false,
  },
  {
    what: "a chain by an intermediate",
    peer: leaf({ dnsNames: ["peer.example"] }, "intermediate"),
    verification: named("peer.example"),
    believed: true,
  },
  {
    what: "an intermediate as the anchor",
    peer: leaf({ dnsNames: ["peer.example"] }, "intermediate"),
    verification: named("peer.example", "intermediate"),
    believed: true,
  },
  {
    what: "another than the anchor's",
    peer: leaf({ dnsNames: ["peer.example"] }),
    verification: named("peer.example", "intermediate"),
    believed: false,
  },
  {
    what: "one of two anchors",
    peer: leaf({ dnsNames: ["peer.example"] }, "stranger"),
    verification: named("peer.example", "both"),
    believed: true,
  },
  {
    what: "an expired certificate",
    peer: leaf({ dnsNames: ["peer.example"], notAfter: new Date(Date.now() - 60_000) }),
    verification: named("peer.example"),
    believed: false,
  },
  {
    what: "a certificate for clients",
    peer: leaf({ dnsNames: ["peer.example"], usage: "client" }),
    verification: named("peer.example"),
    believed: false,
  },
  {
    what: "a certificate without purposes",
    peer: leaf({ dnsNames: ["peer.example"], extendedKeyUsage: [] }),
    verification: named("peer.example"),
    believed: true,
  },
  {
    what: "an Ed25519 key",
    peer: leaf({ dnsNames: ["peer.example"], keyType: "ed25519" }),
    verification: named("peer.example"),
    believed: true,
  },
  {
    what: "an RSA key",
    peer: leaf({ dnsNames: ["peer.example"], keyType: "rsa" }),
    verification: named("peer.example"),
    believed: true,
  },
  {
    what: "a stranger, unverified",
    peer: leaf({}, "stranger"),
    verification: { mode: "none" },
    sni: "peer.example",
    believed: true,
  },
  {
    what: "a workload of our trust domain",
    peer: leaf({ uris: ["spiffe://mesh.example/ns/a/sa/b"] }),
    verification: named("peer.example"),
    spiffe: true,
    believed: true,
  },
  {
    what: "a workload of another trust domain",
    peer: leaf({ uris: ["spiffe://meshxexample/ns/a/sa/b"] }),
    verification: named("peer.example"),
    spiffe: true,
    believed: false,
  },
  {
    what: "a trust domain with ours in front",
    peer: leaf({ uris: ["spiffe://mesh.example.evil/ns/a"] }),
    verification: named("peer.example"),
    spiffe: true,
    believed: false,
  },
  {
    what: "what is no SPIFFE ID, for a segment of two dots",
    peer: leaf({ uris: ["spiffe://mesh.example/ns/../sa/b"] }),
    verification: named("peer.example"),
    spiffe: true,
    believed: false,
  },
  {
    what: "a SPIFFE ID with dots in its segments",
    peer: leaf({ uris: ["spiffe://mesh.example/.ns/...sa/b."] }),
    verification: named("peer.example"),
    spiffe: true,
    believed: true,
  },
  {
    what: "a workload, met without a SPIFFE ID of our own",
    peer: leaf({ uris: ["spiffe://mesh.example/ns/a/sa/b"] }),
    verification: named("peer.example"),
    believed: false,
  },
];

function named(name: string, trust = "root"): Originate["verification"] {
  return { mode: "chain-and-name", trust, name };
}

const servers: Server[] = [];
let envoy: EnvoyOfClusters;
let root: Authority;
const certificateOf = new Map<string, string>();
const seen = new Map<
  string,
  { subject: string | null; servername: string | false | null; alpn: string | false | null }
>();

before(async () => {
  root = await createAuthority("root");
  const intermediate = await root.issueAuthority("intermediate");
  const stranger = await createAuthority("stranger");
  const authorities = { root, intermediate, stranger };
  const client = await root.issue({ commonName: "gateway", usage: "client" });
  const clusters = await Promise.all(
    CASES.map(async ({ what, peer, verification, sni, spiffe }): Promise<Cluster> => {
      const { certificate, privateKey } = await authorities[peer.by].issue(peer.certificate);
      certificateOf.set(what, certificate);
      const server = createServer(
        { cert: certificate, key: privateKey, requestCert: true, rejectUnauthorized: false },
        (request, response) => {
          const socket = request.socket as TLSSocket & { servername: string | false | null };
          seen.set(what, {
            subject: socket.getPeerX509Certificate()?.subject ?? null,
            servername: socket.servername,
            alpn: socket.alpnProtocol,
          });
          response.end("ok");
        },
      );
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      return {
        name: what,
        service: { host: "127.0.0.1", port },
        connectTimeoutMs: 3000,
        tls: {
          mode: "originate",
          credential: spiffe === true ? "workload" : "client",
          verification,
          ...(sni === undefined ? {} : { sni }),
          parameters: PARAMETERS,
        },
      };
    }),
  );
  const model = { clusters, routes: [], virtualHosts: [], listeners: [] } as unknown as GatewayModel;
  const anchors: Record<string, string[]> = {
    root: [root.certificate],
    intermediate: [intermediate.certificate],
    both: [root.certificate, stranger.certificate],
  };
  const store: CredentialReader = {
    credential: (name) =>
      name === "client" || name === "workload"
        ? ({ certificateChain: client.certificate, privateKey: client.privateKey } as Credential)
        : undefined,
    crl: () => undefined,
    trust: (name) => ({ name, generation: 1, anchors: anchors[name] ?? [], facts: [] }),
    onChange: () => () => {},
  };
  const context = {
    generations: new Map<string, string>(),
    ports: new Map<string, number>(),
    trustDomains: new Map([["workload", "mesh.example"]]),
  };
  envoy = await startEnvoyOfClusters({
    resources: [...translateSecrets(secretNames(model), store), ...translateClusters(model, context)],
  });
});

after(async () => {
  await envoy?.stop();
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
});

for (const { what, verification, believed, sni } of CASES) {
  test(`${what} is ${believed ? "believed" : "refused"}`, async () => {
    const response = await fetch(`http://127.0.0.1:${envoy.port}/`, { headers: { "x-cluster": what } });
    const text = await response.text();
    assert.equal(response.status, believed ? 200 : 503, text);
    if (believed) {
      assert.deepEqual(seen.get(what), { subject: "CN=gateway", servername: sni ?? false, alpn: "http/1.1" });
    } else assert.equal(seen.has(what), false, "the request was not sent");
    if (verification.mode === "none" || !/\bname|wildcard|address|CN/.test(what)) return;
    const judged = verifyPeerName(new X509Certificate(certificateOf.get(what) ?? ""), verification.name).ok;
    assert.equal(judged, believed, "as the node engine judges names");
  });
}
