import { createHash } from "node:crypto";
import type { HandshakeReason } from "../../src/diagnostics/handshake.ts";
import { type Issued, issue, issueCa, issueList, NAMES, PURPOSES } from "../support/issuing.ts";

const DAY_MS = 86_400_000;
const past = new Date(Date.now() - DAY_MS);

/** Root, an intermediate under it, and leaves of both, each for servers and clients. */
export const root: Issued = issueCa({ subject: "Verify Root" });
export const middle: Issued = issueCa({ subject: "Verify Middle", by: root });
const leaf = (by: Issued, ...names: Buffer[]): Issued =>
  issue({ by, subject: "peer", names, extendedKeyUsage: [PURPOSES.server, PURPOSES.client] });
export const plain: Issued = leaf(root, NAMES.dns("peer.test"), NAMES.dns("localhost"));
export const deep: Issued = leaf(middle, NAMES.dns("peer.test"), NAMES.dns("localhost"));
/** With so many intermediates between it and the root. */
function leafBelow(depth: number): Issued {
  let by = root;
  for (let above = 0; above < depth; above++) by = issueCa({ subject: `Verify Middle ${above}`, by });
  return leaf(by, NAMES.dns("peer.test"), NAMES.dns("localhost"));
}
const below = leaf(root, NAMES.dns("a.b.team.test"));
const apex = leaf(root, NAMES.dns("team.test"));
const workload = leaf(root, NAMES.uri("spiffe://mesh.test/ns/shop/sa/cart"));

export interface VerifyCase {
  readonly name: string;
  readonly peer: Issued;
  readonly verify: Readonly<Record<string, unknown>>;
  /** PEM, for `crl_secret`. */
  readonly lists?: readonly string[];
  /** Null: it is accepted. */
  readonly fault: HandshakeReason | null;
  /** Envoy cannot, so the context is closed; or it can for clients alone. */
  readonly closedOnEnvoy?: true | "upstreams";
  /** What Envoy's words allow, where it is less. */
  readonly onEnvoy?: HandshakeReason;
}

const ofRoot = issueList({ by: root });
const ofMiddle = issueList({ by: middle });
const stale = (by: Issued, revoked: Issued[] = []): string =>
  issueList({ by, revoked, thisUpdate: new Date(past.getTime() - DAY_MS), nextUpdate: past });

/** What must come of a peer with such a certificate under such rules: the same for upstreams and for clients. */
export const verifyCases: readonly VerifyCase[] = [
  { name: "an exact DNS name", peer: plain, verify: { dns_names: ["peer.test"] }, fault: null },
  {
    name: "another exact DNS name",
    peer: plain,
    verify: { dns_names: ["other.test"] },
    fault: "name_mismatch",
  },
  { name: "a DNS suffix", peer: below, verify: { dns_names: ["*.team.test"] }, fault: null },
  {
    name: "a DNS suffix is not the name itself",
    peer: apex,
    verify: { dns_names: ["*.team.test"] },
    fault: "name_mismatch",
  },
  {
    name: "one of several names",
    peer: apex,
    verify: { dns_names: ["*.other.test", "team.test"] },
    fault: null,
  },
  {
    name: "a SPIFFE ID",
    peer: workload,
    verify: { spiffe_ids: ["spiffe://mesh.test/ns/shop/sa/cart"] },
    fault: null,
  },
  {
    name: "another SPIFFE ID",
    peer: workload,
    verify: { spiffe_ids: ["spiffe://mesh.test/ns/shop/sa/stock"] },
    fault: "spiffe_id_mismatch",
    onEnvoy: "name_mismatch",
  },
  { name: "a trust domain", peer: workload, verify: { trust_domains: ["mesh.test"] }, fault: null },
  {
    name: "another trust domain",
    peer: workload,
    verify: { trust_domains: ["mesh.test.evil"] },
    fault: "spiffe_id_mismatch",
    onEnvoy: "name_mismatch",
  },
  {
    name: "a name or an ID",
    peer: workload,
    verify: { trust_domains: ["mesh.test"], dns_names: ["peer.test"] },
    fault: null,
  },
  { name: "a pinned key", peer: plain, verify: { spki_sha256: [pinOf(plain), pinOf(deep)] }, fault: null },
  { name: "another pinned key", peer: plain, verify: { spki_sha256: [pinOf(deep)] }, fault: "pin_mismatch" },
  {
    name: "a pinned key under another name",
    peer: plain,
    verify: { spki_sha256: [pinOf(plain)], dns_names: ["other.test"] },
    fault: "name_mismatch",
  },
  ...[0, 1, 2, 3].map(
    (depth): VerifyCase => ({
      name: `as deep as is allowed: ${depth}`,
      peer: leafBelow(depth),
      verify: { max_depth: depth },
      fault: null,
      closedOnEnvoy: "upstreams",
    }),
  ),
  ...[0, 1, 2].map(
    (depth): VerifyCase => ({
      name: `too deep: more than ${depth}`,
      peer: leafBelow(depth + 1),
      verify: { max_depth: depth },
      fault: "chain_too_deep",
      onEnvoy: "issuer_unknown",
      closedOnEnvoy: "upstreams",
    }),
  ),
  {
    name: "too deep by far",
    peer: leafBelow(4),
    verify: { max_depth: 1, dns_names: ["peer.test"] },
    fault: "chain_too_deep",
    onEnvoy: "issuer_unknown",
    closedOnEnvoy: "upstreams",
  },
  { name: "on no list", peer: deep, verify: {}, lists: [ofRoot, ofMiddle], fault: null },
  {
    name: "a revoked leaf",
    peer: deep,
    verify: {},
    lists: [ofRoot, issueList({ by: middle, revoked: [deep] })],
    fault: "revoked",
  },
  {
    name: "a revoked intermediate",
    peer: deep,
    verify: {},
    lists: [issueList({ by: root, revoked: [middle] }), ofMiddle],
    fault: "revoked",
  },
  { name: "no list of the intermediate", peer: deep, verify: {}, lists: [ofRoot], fault: "crl_missing" },
  {
    name: "no list of the intermediate, allow-missing",
    peer: deep,
    verify: { crl_policy: "allow-missing" },
    lists: [ofRoot],
    fault: null,
    closedOnEnvoy: true,
  },
  { name: "a stale list", peer: plain, verify: {}, lists: [stale(root)], fault: "crl_stale" },
  {
    name: "a stale list, allow-stale",
    peer: plain,
    verify: { crl_policy: "allow-stale" },
    lists: [stale(root)],
    fault: null,
    closedOnEnvoy: true,
  },
  {
    name: "revoked on a stale list, allow-stale",
    peer: plain,
    verify: { crl_policy: "allow-stale" },
    lists: [stale(root, [plain])],
    fault: "revoked",
    closedOnEnvoy: true,
  },
];

export function chainOf(issued: Issued): { readonly cert: string; readonly key: string } {
  let cert = issued.pem;
  for (let { issuer } = issued; issuer !== null && issuer !== root; issuer = issuer.issuer)
    cert += issuer.pem;
  return { cert, key: issued.keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string };
}

function pinOf({ keys: { publicKey } }: Issued): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
}
