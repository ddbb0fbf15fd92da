import { X509Certificate } from "node:crypto";
import type { CertificateFault } from "../../src/x509/faults.ts";
import { readTrustDomains } from "../../src/x509/trust-domains.ts";
import type { PeerExpectation } from "../../src/x509/verify.ts";
import { implicit, integer, sequence, utf8 } from "./der.ts";
import {
  ecKeys,
  extension,
  type Issued,
  issue,
  issueCa,
  issueList,
  NAMES,
  nameConstraints,
  nameOf,
  PURPOSES,
  rsaKeys,
} from "./issuing.ts";

/** A server that is dialled as peer.example and must be refused, for one reason: a line of docs/verification.md. */
export interface FlawedPeer {
  /** The first cell of its line. */
  readonly check: string;
  readonly fault: CertificateFault;
  /** What it sends, its own certificate first. */
  readonly chain: readonly Issued[];
  readonly anchors: readonly Issued[];
  /** PEM: every CA's list is asked for where there is one. */
  readonly lists?: readonly string[];
  readonly rules?: Pick<PeerExpectation, "identities" | "spkiSha256" | "maxDepth" | "domains">;
}

const DAY = 86_400_000;
const PAST = { notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) };
const STRANGE = extension("1.3.6.1.4.1.55555.1", utf8("?"), true);
const { dns, ip, uri, email, directory } = NAMES;

/** One sound peer, to see that the others are refused for their flaws, and every flaw. */
export function flawedPeers(): {
  readonly sound: Omit<FlawedPeer, "fault">;
  readonly flawed: readonly FlawedPeer[];
} {
  const root = issueCa({ subject: "root" });
  const middle = issueCa({ subject: "middle", by: root });
  const anchors = [root];
  const sound = issue({ by: middle });
  const weak = rsaKeys(1024);
  const rsa = rsaKeys();
  const old = issueCa({ subject: "old", by: root, keys: rsa, ...PAST });
  const namesake = issueCa({ subject: "root" });
  const person = issue({ by: root, subject: "person", keyUsage: ["digitalSignature", "keyCertSign"] });
  const mute = issueCa({ subject: "mute", by: root, keyUsage: ["cRLSign"] });
  const narrow = issueCa({ subject: "narrow", by: root, pathLength: 0 });
  const below = issueCa({ subject: "below", by: narrow });
  const narrowRoot = issueCa({ subject: "narrow root", pathLength: 0 });
  const belowRoot = issueCa({ subject: "below root", by: narrowRoot });
  const strange = issueCa({ subject: "strange", by: root, extensions: [STRANGE] });
  const asking = issueCa({
    subject: "asking",
    by: root,
    extensions: [extension("2.5.29.54", integer(0), true)],
  });
  const weakRoot = issueCa({ subject: "weak root", keys: weak });
  const rsaRoot = issueCa({ subject: "rsa root", keys: rsa });
  const forClients = issueCa({ subject: "for clients", by: root, extendedKeyUsage: [PURPOSES.client] });
  const silent = issueCa({ subject: "silent", by: root, keyUsage: ["keyCertSign"] });
  const spiffe = (...names: Buffer[]) => [issue({ by: root, names })];
  const constrainedBy = (permitted: Buffer[], excluded: Buffer[], leaf: Parameters<typeof issue>[0]) => {
    const ca = issueCa({
      subject: "constrained",
      by: root,
      extensions: [nameConstraints(permitted, excluded)],
    });
    return [issue({ by: ca, ...leaf }), ca];
  };
  const lists = [issueList({ by: root }), issueList({ by: middle })];
  const [ofRoot = "", ofMiddle = ""] = lists;
  const past = { thisUpdate: PAST.notBefore, nextUpdate: PAST.notAfter };
  const constrainedRoot = issueCa({
    subject: "constrained root",
    extensions: [nameConstraints([dns("a.example")])],
  });
  const six = Buffer.from("a00c06032a0304a0050c03736978", "hex");

  const flaws: readonly (readonly [string, CertificateFault, readonly Issued[], Partial<FlawedPeer>?])[] = [
    ["The certificate is not past its end", "certificate_expired", [issue({ by: root, ...PAST })]],
    ["No CA above it is, the trusted one included", "certificate_expired", [issue({ by: old }), old]],
    [
      "It is valid already, and so are those CAs",
      "certificate_not_yet_valid",
      [issue({ by: root, notBefore: new Date(Date.now() + DAY) })],
    ],
    ["The chain ends at a trusted CA", "issuer_unknown", [issue({ by: issueCa({ subject: "stranger" }) })]],
    ["A CA is its key, not its name", "issuer_unknown", [issue({ by: namesake, authorityKey: "none" })]],
    [
      "No issuer between is left out",
      "intermediate_missing",
      [issue({ by: middle, authorityKey: "key-and-serial" })],
    ],
    ["It does not vouch for itself", "self_signed_leaf", [issue({})]],
    ["Every signature verifies", "signature_invalid", [altered(issue({ by: root }))]],
    ["Only CAs issue (`basicConstraints`)", "issuer_not_ca", [issue({ by: person }), person]],
    ["Their keys may sign certificates (`keyCertSign`)", "issuer_not_ca", [issue({ by: mute }), mute]],
    [
      "The chain is no longer than its CAs allow (`pathLenConstraint`)",
      "path_too_long",
      [issue({ by: below }), below, narrow],
    ],
    [
      "…nor than the trusted CA itself allows",
      "path_too_long",
      [issue({ by: belowRoot }), belowRoot],
      { anchors: [narrowRoot] },
    ],
    [
      "It has no more intermediates than `verify.max_depth`",
      "chain_too_deep",
      [sound, middle],
      { rules: { maxDepth: 0 } },
    ],
    [
      "No critical extension is unknown",
      "critical_extension_unknown",
      [issue({ by: root, extensions: [STRANGE] })],
    ],
    ["…in any CA above it either", "critical_extension_unknown", [issue({ by: strange }), strange]],
    [
      "No certificate policy is required (`policyConstraints`)",
      "critical_extension_unknown",
      [
        issue({
          by: root,
          extensions: [extension("2.5.29.36", sequence(implicit(0, Buffer.from([0]))), true)],
        }),
      ],
    ],
    [
      "…nor in a CA above it, and none is ruled out (`inhibitAnyPolicy`)",
      "critical_extension_unknown",
      [issue({ by: asking }), asking],
    ],
    ["RSA keys have 2048 bits or more", "key_weak", [issue({ by: root, keys: weak })]],
    [
      "…in any CA above it too, the trusted one included",
      "key_weak",
      [issue({ by: weakRoot })],
      { anchors: [weakRoot] },
    ],
    [
      "EC keys have 256 bits or more and name their curve; no DSA",
      "key_weak",
      [issue({ by: root, keys: ecKeys("secp224r1") })],
    ],
    [
      "No signature is with SHA-1, but for the trusted CA's own",
      "signature_weak",
      [issue({ by: root, hash: "sha1" })],
    ],
    ["…nor with MD5", "signature_weak", [issue({ by: rsaRoot, hash: "md5" })], { anchors: [rsaRoot] }],
    [
      "It is meant for servers, or for clients (`extendedKeyUsage`)",
      "purpose_wrong",
      [issue({ by: root, extendedKeyUsage: [PURPOSES.client] })],
    ],
    [
      "`anyExtendedKeyUsage` alone does not say so",
      "purpose_wrong",
      [issue({ by: root, extendedKeyUsage: [PURPOSES.any] })],
    ],
    [
      "A CA above it that has `extendedKeyUsage` is meant for them too",
      "purpose_wrong",
      [issue({ by: forClients }), forClients],
    ],
    [
      "Its key may sign handshakes (`digitalSignature`)",
      "purpose_wrong",
      [issue({ by: root, keyUsage: ["keyEncipherment"] })],
    ],
    [
      "Netscape's certificate type agrees, where there is one",
      "purpose_wrong",
      [issue({ by: root, extensions: [extension("2.16.840.1.113730.1.1", Buffer.from("03020780", "hex"))] })],
    ],
    [
      "It is DER as RFC 5280 has it",
      "certificate_malformed",
      [issue({ by: root, extensions: [extension("2.5.29.17", sequence(dns("peer.example")))] })],
    ],
    ["The name that was dialled is among its SANs", "name_mismatch", spiffe(dns("other.example"))],
    [
      "The common name is no such name",
      "name_mismatch",
      [issue({ by: root, subject: "peer.example", names: [] })],
    ],
    ["A wildcard stands for one label", "name_mismatch", spiffe(dns("*.example.peer.example"))],
    ["A wildcard is no part of a label", "name_mismatch", spiffe(dns("p*r.example"))],
    [
      "One of `verify.dns_names` instead of the name that was dialled",
      "name_mismatch",
      [sound, middle],
      { rules: { identities: { dnsNames: ["*.other.example"] } } },
    ],
    [
      "One of `verify.spiffe_ids`",
      "spiffe_id_mismatch",
      spiffe(uri("spiffe://prod.example/b")),
      { rules: { identities: { spiffeIds: ["spiffe://prod.example/a"] } } },
    ],
    [
      "One of `verify.trust_domains`",
      "spiffe_id_mismatch",
      spiffe(uri("spiffe://prod.example.evil.example/a")),
      { rules: { identities: { trustDomains: ["prod.example"] } } },
    ],
    [
      "A SPIFFE ID is the certificate's only URI",
      "spiffe_id_mismatch",
      spiffe(uri("spiffe://prod.example/a"), uri("spiffe://prod.example/b")),
      { rules: { identities: { spiffeIds: ["spiffe://prod.example/a"] } } },
    ],
    [
      "A workload's certificate is no CA's",
      "spiffe_id_mismatch",
      [
        issueCa({
          subject: "signing workload",
          by: root,
          names: [uri("spiffe://prod.example/a")],
          keyUsage: ["digitalSignature", "keyCertSign"],
        }),
      ],
      { rules: { identities: { spiffeIds: ["spiffe://prod.example/a"] } } },
    ],
    [
      "A CA of a SPIFFE trust domain vouches for IDs of that domain alone",
      "issuer_unknown",
      [issue({ by: root, names: [dns("peer.example"), uri("spiffe://prod.example/a")] })],
      { rules: { domains: readTrustDomains({ "prod.example": [middle.pem], "other.example": [root.pem] }) } },
    ],
    [
      "Its public key is one of `verify.spki_sha256`",
      "pin_mismatch",
      [sound, middle],
      { rules: { spkiSha256: [`${"A".repeat(43)}=`] } },
    ],
    [
      "Name constraints: DNS names that are permitted",
      "name_constraint",
      constrainedBy([dns("other.example")], [], {}),
    ],
    [
      "Name constraints: DNS names that are excluded",
      "name_constraint",
      constrainedBy([], [dns("example")], {}),
    ],
    [
      "Name constraints: what a wildcard could stand for",
      "name_constraint",
      constrainedBy([], [dns("secret.example")], { names: [dns("peer.example"), dns("*.example")] }),
    ],
    [
      "Name constraints: addresses",
      "name_constraint",
      constrainedBy([ip(10, 0, 0, 0, 255, 0, 0, 0)], [], { names: [dns("peer.example"), ip(11, 0, 0, 1)] }),
    ],
    [
      "Name constraints: URIs, SPIFFE IDs among them",
      "name_constraint",
      constrainedBy([uri("prod.example")], [], {
        names: [dns("peer.example"), uri("spiffe://other.example/a")],
      }),
    ],
    [
      "Name constraints: e-mail addresses, in the subject too",
      "name_constraint",
      constrainedBy([email("a.example")], [], { names: [dns("peer.example"), email("a@b.example")] }),
    ],
    [
      "Name constraints: directory names",
      "name_constraint",
      constrainedBy([directory(nameOf([["O", "Acme"]]))], [], {
        subject: nameOf([
          ["O", "Other"],
          ["CN", "leaf"],
        ]),
      }),
    ],
    [
      "Name constraints: names of kinds that nobody reads",
      "name_constraint",
      constrainedBy([six], [], { names: [dns("peer.example"), six] }),
    ],
    [
      "Name constraints: those of the trusted CA itself",
      "name_constraint",
      [issue({ by: constrainedRoot })],
      { anchors: [constrainedRoot] },
    ],
    [
      "It is on no list of its CA",
      "revoked",
      [sound, middle],
      { lists: [ofRoot, issueList({ by: middle, revoked: [sound] })] },
    ],
    [
      "No CA above it is, but for the trusted one",
      "revoked",
      [sound, middle],
      { lists: [issueList({ by: root, revoked: [middle] }), ofMiddle] },
    ],
    [
      "A stale list still says who is revoked",
      "revoked",
      [sound, middle],
      { lists: [ofRoot, issueList({ by: middle, revoked: [sound], ...past })] },
    ],
    ["There is a list of its CA", "crl_missing", [sound, middle], { lists: [ofRoot] }],
    [
      "There is a list of every CA above it that issued another",
      "crl_missing",
      [sound, middle],
      { lists: [ofMiddle] },
    ],
    [
      "The list is signed with that CA's key",
      "crl_missing",
      [issue({ by: root })],
      { lists: [issueList({ by: namesake })] },
    ],
    [
      "That key may sign lists (`cRLSign`)",
      "crl_missing",
      [issue({ by: silent }), silent],
      { lists: [ofRoot, issueList({ by: silent })] },
    ],
    [
      "The lists are current",
      "crl_stale",
      [sound, middle],
      { lists: [ofRoot, issueList({ by: middle, ...past })] },
    ],
  ];
  return {
    sound: { check: "sound", chain: [sound, middle], anchors, lists },
    flawed: flaws.map(([check, fault, chain, more]) => ({ check, fault, chain, anchors, ...more })),
  };
}

/** With another last byte, which is of the signature. */
function altered(issued: Issued): Issued {
  const raw = Buffer.from(issued.certificate.raw);
  raw.writeUInt8(raw.readUInt8(raw.length - 1) ^ 1, raw.length - 1);
  const certificate = new X509Certificate(raw);
  return { ...issued, certificate, pem: certificate.toString() };
}
