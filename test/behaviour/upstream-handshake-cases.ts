import { once } from "node:events";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from "node:net";
import type { TlsOptions } from "node:tls";
import type { HandshakeReason } from "../../src/diagnostics/handshake.ts";
import { mappingYaml, secretYaml, tlsContextYaml } from "../support/certificates.ts";
import { type Issued, issue, issueCa, NAMES, PURPOSES } from "../support/issuing.ts";
import { chainOf, deep, plain, root } from "./verify-cases.ts";

export const DAY_MS = 86_400_000;
const localhost = NAMES.dns("localhost");
export const stranger = issueCa({ subject: "Stranger" });
export const own = issue({
  by: root,
  subject: "gateway",
  names: [NAMES.dns("gateway.test")],
  extendedKeyUsage: [PURPOSES.client],
});
export const leaf = (options: Partial<Parameters<typeof issue>[0]> = {}): Issued =>
  issue({ by: root, subject: "peer", names: [localhost], extendedKeyUsage: [PURPOSES.server], ...options });

export interface Told {
  readonly node: HandshakeReason;
  /** Where Envoy's words allow less, or another; null: nothing. */
  readonly envoy?: HandshakeReason | null;
}

export interface UpstreamCase extends Told {
  readonly name: string;
  readonly peer: () => Promise<Server> | Server;
  readonly context?: Readonly<Record<string, unknown>>;
  /** Without our certificate. */
  readonly anonymous?: true;
}

const tls =
  (issued: Issued, options: TlsOptions = {}) =>
  (): Server =>
    createHttps({ ...chainOf(issued), ...options }, (_, response) => response.end("ok"));
export const raw = (act: (socket: Socket) => void) => (): Server =>
  createTcp((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => act(socket));
  });
const asking = { ca: root.pem, requestCert: true, rejectUnauthorized: true };

/** What is wrong with a peer, or with what it is asked, and the reason that this has. */
export const upstreamCases: readonly UpstreamCase[] = [
  {
    name: "expired",
    node: "certificate_expired",
    peer: tls(
      leaf({ notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) }),
    ),
  },
  {
    name: "not yet valid",
    node: "certificate_not_yet_valid",
    peer: tls(leaf({ notBefore: new Date(Date.now() + DAY_MS) })),
  },
  {
    name: "of an unknown CA",
    node: "issuer_unknown",
    peer: tls(
      issue({ by: stranger, subject: "peer", names: [localhost], extendedKeyUsage: [PURPOSES.server] }),
    ),
  },
  {
    name: "self-signed",
    envoy: "issuer_unknown",
    node: "self_signed_leaf",
    peer: tls(issue({ by: null, subject: "peer", names: [localhost], extendedKeyUsage: [PURPOSES.server] })),
  },
  { name: "for another name", node: "name_mismatch", peer: tls(leaf({ names: [NAMES.dns("other.test")] })) },
  { name: "for clients", node: "purpose_wrong", peer: tls(leaf({ extendedKeyUsage: [PURPOSES.client] })) },
  {
    name: "issued by no CA",
    envoy: "issuer_unknown",
    node: "issuer_not_ca",
    peer: tls(issue({ by: plain, subject: "peer", names: [localhost], extendedKeyUsage: [PURPOSES.server] })),
  },
  { name: "without its intermediate", node: "issuer_unknown", peer: tls(deep, { cert: deep.pem }) },
  {
    name: "too old a version",
    node: "no_common_version",
    peer: tls(leaf(), { maxVersion: "TLSv1.2" }),
    context: { min_tls_version: "v1.3" },
  },
  {
    name: "too new a version",
    node: "no_common_version",
    peer: tls(leaf(), { minVersion: "TLSv1.3" }),
    context: { max_tls_version: "v1.2" },
  },
  {
    name: "other cipher suites",
    node: "no_agreement",
    peer: tls(leaf(), { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" }),
    context: { max_tls_version: "v1.2", cipher_suites: ["ECDHE-ECDSA-AES128-GCM-SHA256"] },
  },
  {
    name: "other groups",
    node: "no_agreement",
    peer: tls(leaf(), { ecdhCurve: "P-384" }),
    context: { ecdh_curves: ["P-256"] },
  },
  { name: "other protocols", node: "alpn_mismatch", peer: tls(leaf(), { ALPNProtocols: ["spdy"] }) },
  {
    name: "an alert about the server name",
    node: "sni_unknown",
    peer: raw((socket) => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 112]))),
  },
  {
    name: "no certificate of ours, TLS 1.3",
    envoy: null,
    node: "client_certificate_missing",
    peer: tls(leaf(), asking),
    anonymous: true,
  },
  {
    name: "no certificate of ours, TLS 1.2",
    node: "no_agreement",
    peer: tls(leaf(), { ...asking, maxVersion: "TLSv1.2" }),
    anonymous: true,
  },
  {
    name: "our certificate refused",
    node: "client_certificate_refused",
    peer: raw((socket) => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 48]))),
  },
  {
    name: "cleartext",
    node: "plaintext_peer",
    peer: raw((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  },
  { name: "an end in the handshake", node: "handshake_closed", peer: raw((socket) => socket.end()) },
  {
    name: "a reset in the handshake",
    node: "handshake_reset",
    peer: raw((socket) => socket.resetAndDestroy()),
  },
  { name: "silence", envoy: "connect_timeout", node: "handshake_timeout", peer: raw(() => undefined) },
];

/** The peers of the cases, in order, and resources with a Mapping for each: `m0` at `/m0/`, and so on. */
export async function startPeers(): Promise<{ readonly yaml: string; readonly servers: readonly Server[] }> {
  const { cert, key } = chainOf(own);
  const servers: Server[] = [];
  const parts = [
    secretYaml("ca", { certificate: root.pem }),
    secretYaml("own", { certificate: cert, privateKey: key }),
  ];
  for (const [index, { peer, context = {}, anonymous }] of upstreamCases.entries()) {
    const server = await peer();
    servers.push(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    const service = `https://localhost:${(server.address() as AddressInfo).port}`;
    const identity = { hosts: [], ca_secret: "ca", ...(anonymous ? {} : { secret: "own" }) };
    const tls = `c${index}`;
    parts.push(
      mappingYaml(`m${index}`, { prefix: `/m${index}/`, service, tls, connect_timeout_ms: 1000 }),
      tlsContextYaml(tls, { ...identity, ...context }),
    );
  }
  return { yaml: parts.join(""), servers };
}
