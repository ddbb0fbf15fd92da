import fc from "../support/fast-check.ts";
import { nothing, sequence, utf8 } from "../support/der.ts";
import {
  ecKeys,
  edKeys,
  extension,
  type Issued,
  type Issuing,
  issue,
  issueCa,
  issueList,
  type KeyPair,
  NAMES,
  nameConstraints,
  nameOf,
  PURPOSES,
  rsaKeys,
} from "../support/issuing.ts";

/** A peer, what it sends, and what it is judged by. */
export interface CertificateWorld {
  readonly leaf: Issued;
  readonly sent: readonly Issued[];
  readonly anchors: readonly Issued[];
  /** PEM; none: nobody asks for them. */
  readonly lists: readonly string[];
  readonly usage: "server" | "client";
  /** Flaw by flaw, for a report. */
  [fc.toStringMethod](): string;
}

/** Sound worlds and flawed ones, about one in three sound. */
export function certificateWorlds(): fc.Arbitrary<CertificateWorld> {
  return fc
    .record({
      root: flaws(CA_FLAWS),
      middles: fc.array(flaws(CA_FLAWS), { maxLength: 3 }),
      leaf: flaws(LEAF_FLAWS),
      usage: fc.constantFrom("server", "client"),
      anchors: rarely("root", "middle", "stranger", "namesake", "leaf", "root-and-stranger"),
      sent: rarely("all", "all", "shuffled", "one-missing", "with-root", "none"),
      lists: rarely("none", "all", "revoked-leaf", "revoked-middle", "one-missing", "stale", "forged"),
      pick: fc.nat(100),
    })
    .map(build);
}

/** A change of what would be sound, which says in a report what it was. */
type Flaw = (issuing: Issuing) => Issuing;

interface Plan {
  readonly root: Flaw;
  readonly middles: readonly Flaw[];
  readonly leaf: Flaw;
  readonly usage: string;
  readonly anchors: string;
  readonly sent: string;
  readonly lists: string;
  readonly pick: number;
}

const DAY = 86_400_000;
/** Made once: a key is what takes time. */
const KEYS = {
  ec: Array.from({ length: 6 }, () => ecKeys()),
  rsa: [rsaKeys(), rsaKeys()],
  weak: rsaKeys(1024),
  small: ecKeys("secp224r1"),
  edwards: edKeys(),
} as const;
const STRANGER = issueCa({ subject: "stranger" });
const NAMESAKE = issueCa({ subject: "root" });

const { dns, ip, uri, directory } = NAMES;
const ACME = nameOf([["O", "Acme"]]);

const COMMON: readonly Flaw[] = [
  (it) => ({ ...it, notAfter: new Date(Date.now() - DAY), notBefore: new Date(Date.now() - 2 * DAY) }),
  (it) => ({ ...it, notBefore: new Date(Date.now() + DAY) }),
  (it) => ({ ...it, keyUsage: null }),
  (it) => ({ ...it, keyUsage: ["keyEncipherment"] }),
  (it) => ({ ...it, extendedKeyUsage: null }),
  (it) => ({ ...it, extendedKeyUsage: [PURPOSES.server] }),
  (it) => ({ ...it, extendedKeyUsage: [PURPOSES.client] }),
  (it) => ({ ...it, extendedKeyUsage: [PURPOSES.any] }),
  (it) => ({ ...it, keys: KEYS.weak }),
  (it) => ({ ...it, keys: KEYS.small }),
  (it) => ({ ...it, keys: KEYS.edwards }),
  (it) => ({ ...it, keys: KEYS.rsa[0] as KeyPair }),
  (it) => ({ ...it, hash: "sha1" }),
  (it) => ({ ...it, authorityKey: "none" }),
  (it) => ({ ...it, authorityKey: "key-and-serial" }),
  (it) => ({ ...it, issuerName: ACME }),
  (it) => ({ ...it, version: 0 }),
  (it) => ({ ...it, extensions: [extension("1.3.6.1.4.1.55555.1", utf8("?"), true)] }),
  (it) => ({ ...it, extensions: [extension("1.3.6.1.4.1.55555.1", utf8("?"))] }),
  (it) => ({ ...it, extensions: [extension("2.5.29.32", nothing, true)] }),
  (it) => ({ ...it, extensions: [extension("2.5.29.36", sequence(), true)] }),
  ...["0780", "0640", "0520", "0201"].map((type): Flaw => {
    const value = Buffer.from(`0302${type}`, "hex");
    return (it) => ({ ...it, extensions: [extension("2.16.840.1.113730.1.1", value)] });
  }),
];

const CA_FLAWS: readonly Flaw[] = [
  ...COMMON,
  (it) => ({ ...it, ca: false }),
  (it) => ({ ...it, keyUsage: ["cRLSign"] }),
  (it) => ({ ...it, keyUsage: ["keyCertSign"] }),
  (it) => ({ ...it, pathLength: 0 }),
  (it) => ({ ...it, pathLength: 1 }),
  (it) => ({ ...it, subject: "root" }),
  ...[
    nameConstraints([dns("peer.example")]),
    nameConstraints([dns("other.example")]),
    nameConstraints([], [dns("peer.example")]),
    nameConstraints([dns(".example")]),
    nameConstraints([dns("")]),
    nameConstraints([uri("prod.example")]),
    nameConstraints([], [uri(".example")]),
    nameConstraints([ip(10, 0, 0, 0, 255, 0, 0, 0)]),
    nameConstraints([directory(ACME)]),
    nameConstraints([], [directory(ACME)]),
    nameConstraints([NAMES.email("example")]),
  ].map(
    (constraints): Flaw =>
      (it) => ({ ...it, extensions: [constraints] }),
  ),
];

const LEAF_FLAWS: readonly Flaw[] = [
  ...COMMON,
  (it) => ({ ...it, ca: true }),
  (it) => ({ ...it, names: [dns("*.example")] }),
  (it) => ({ ...it, names: [dns("*.peer.example"), dns("PEER.example")] }),
  (it) => ({ ...it, names: [dns("peer.example"), ip(10, 1, 1, 1)] }),
  (it) => ({ ...it, names: [dns("peer.example"), ip(11, 1, 1, 1), uri("spiffe://prod.example/a")] }),
  (it) => ({ ...it, names: [dns("peer.example"), uri("urn:a"), NAMES.email("a@example")] }),
  (it) => ({ ...it, names: [dns("other.example")] }),
  (it) => ({ ...it, names: [], subject: "peer.example" }),
  (it) => ({
    ...it,
    subject: nameOf([
      ["O", "ACME "],
      ["CN", "leaf"],
    ]),
  }),
  (it) => ({
    ...it,
    subject: nameOf([
      ["O", "Other"],
      ["emailAddress", "a@other.example"],
    ]),
  }),
  (it) => ({ ...it, by: null }),
];

function flaws(list: readonly Flaw[]): fc.Arbitrary<Flaw> {
  const none: Flaw = (it) => it;
  return fc.oneof(
    { weight: 12, arbitrary: fc.constant(none) },
    { weight: 3, arbitrary: fc.constantFrom(...list) },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.constantFrom(...list), fc.constantFrom(...list)).map(
        ([a, b]): Flaw =>
          (it) =>
            b(a(it)),
      ),
    },
  );
}

function rarely(usual: string, ...others: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 5, arbitrary: fc.constant(usual) },
    { weight: 2, arbitrary: fc.constantFrom(...others) },
  );
}

function build(plan: Plan): CertificateWorld {
  const root = issueCa({
    keys: KEYS.ec[0] as KeyPair,
    ...plan.root({ subject: "root", extendedKeyUsage: null, names: [] }),
  } as never);
  const middles: Issued[] = [];
  for (const [index, flaw] of plan.middles.entries()) {
    const sound = {
      subject: `middle ${index}`,
      by: middles.at(-1) ?? root,
      keys: KEYS.ec[1 + index] as KeyPair,
    };
    middles.push(issueCa(flaw({ ...CA, ...sound }) as never));
  }
  const leaf = issue(plan.leaf({ by: middles.at(-1) ?? root, keys: KEYS.ec[5] as KeyPair }));
  const anchors: Readonly<Record<string, readonly Issued[]>> = {
    root: [root],
    middle: [middles[plan.pick % Math.max(1, middles.length)] ?? root],
    stranger: [STRANGER],
    namesake: [NAMESAKE],
    leaf: [leaf],
    "root-and-stranger": [STRANGER, NAMESAKE, root],
  };
  const upwards = middles.toReversed();
  const sent: Readonly<Record<string, readonly Issued[]>> = {
    all: upwards,
    shuffled: middles,
    "one-missing": upwards.filter((_, index) => index !== plan.pick % Math.max(1, upwards.length)),
    "with-root": [...upwards, root],
    none: [],
  };
  const trusted = anchors[plan.anchors] as readonly Issued[];
  return {
    leaf,
    // What is above an anchor matters to OpenSSL, not to us.
    sent: (sent[plan.sent] as readonly Issued[]).filter(
      (it) => plan.anchors === "root" || !isAbove(it, trusted),
    ),
    anchors: trusted,
    lists: listsOf(plan, [root, ...middles], leaf),
    usage: plan.usage as "server" | "client",
    [fc.toStringMethod]: () =>
      [
        `a ${plan.usage}, trusted: ${plan.anchors}, sent: ${plan.sent}, lists: ${plan.lists}, picked ${plan.pick}`,
        ...[plan.root, ...plan.middles, plan.leaf].map(String),
      ].join("\n"),
  };
}

function isAbove(certificate: Issued, anchors: readonly Issued[]): boolean {
  return anchors.some((anchor) => {
    for (let above = anchor.issuer; above !== null; above = above.issuer)
      if (above === certificate) return true;
    return false;
  });
}

const CA = { ca: true, keyUsage: ["keyCertSign", "cRLSign"], extendedKeyUsage: null, names: [] } as const;

function listsOf({ lists, pick }: Plan, cas: readonly Issued[], leaf: Issued): string[] {
  if (lists === "none") return [];
  return cas.flatMap((by, index) => {
    const isPicked = index === pick % cas.length;
    if (lists === "one-missing" && isPicked) return [];
    const forged = { ...by, keys: STRANGER.keys };
    return issueList({
      by: lists === "forged" && isPicked ? forged : by,
      revoked: [
        ...(lists === "revoked-leaf" && index === cas.length - 1 ? [leaf] : []),
        ...(lists === "revoked-middle" && isPicked ? cas.slice(index + 1, index + 2) : []),
      ],
      ...(lists === "stale" && isPicked
        ? { thisUpdate: new Date(Date.now() - 2 * DAY), nextUpdate: new Date(Date.now() - DAY) }
        : {}),
    });
  });
}
