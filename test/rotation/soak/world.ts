import { type Authority, createAuthority, type IssuedCertificate } from "../../../src/x509/authority.ts";
import type { Peer } from "./peer.ts";
import { serialOf } from "./serial.ts";
import type { Offer } from "./sources.ts";

export type Step = "leaf" | "key" | "root" | "crl";
export const STEPS: readonly Step[] = ["leaf", "key", "root", "crl"];

/** Whom the gateway has to let in once a step is in effect, and whom not. */
export interface Admission {
  readonly welcome: readonly IssuedCertificate[];
  /** On a list now. */
  readonly revoked: readonly IssuedCertificate[];
  /** Of a root that is gone. */
  readonly disowned: readonly IssuedCertificate[];
}

export const gatewayId = (site: string): string => `spiffe://${site}.example/gateway`;
export const peerId = (site: string): string => `spiffe://${site}.example/peer`;
/** The gateway's name to its clients. */
export const gatewayHost = (site: string): string => `${site}.gateway.example`;
/** The peer's name to the gateway. */
export const peerHost = (site: string): string => `${site}.peer.example`;

/**
 * Issuers of one site, and what gateway and peer have of them. `root` goes one step of the way that a root takes out of
 * service without an outage: both trust old and new; the certificates of both are of the new one; the old one is gone.
 *
 * Lists may reach the gateway by another way than roots do, so the one of a root is there a step before the root is.
 */
export class World {
  readonly #site: string;
  /** Trusted now, the oldest first. */
  #roots: readonly Authority[];
  /** Trusted next. */
  #coming: Authority;
  #lists: readonly string[] = [];
  /** Serial numbers of certificates that nobody may show any more. */
  readonly #revoked: string[] = [];
  #phase = 0;
  #count = 0;
  #gateway: IssuedCertificate;
  #peer: IssuedCertificate;
  /** A client that is revoked next. */
  #visitor: IssuedCertificate;

  private constructor(site: string, made: Made) {
    this.#site = site;
    this.#roots = [made.root];
    this.#coming = made.coming;
    this.#gateway = made.gateway;
    this.#peer = made.peer;
    this.#visitor = made.visitor;
  }

  static async create(site: string): Promise<World> {
    const [root, coming] = await Promise.all([createAuthority(`${site} 0`), createAuthority(`${site} 1`)]);
    const [gateway, peer, visitor] = await Promise.all([
      root.issue(gatewayOf(site)),
      root.issue(peerOf(site)),
      root.issue(peerOf(site)),
    ]);
    const world = new World(site, { root, coming, gateway, peer, visitor });
    world.#count = 1;
    await world.#issueLists();
    return world;
  }

  /** What an issuer has for the gateway. */
  get offer(): Offer {
    return { identity: this.#gateway, anchors: this.anchors, lists: this.#lists };
  }

  get anchors(): readonly string[] {
    return this.#roots.map(({ certificate }) => certificate);
  }

  /** The peer's, as a server and as a client. */
  get peer(): IssuedCertificate {
    return this.#peer;
  }

  /** Changes the world by one step; the peer knows at once, and the gateway is told by whoever calls. */
  async step(step: Step, peer: Peer): Promise<Admission> {
    const { revoked, disowned, guests } = await this.#change(step);
    peer.present(this.#peer, this.anchors);
    return { welcome: [this.#peer, ...guests], revoked, disowned };
  }

  async #change(step: Step): Promise<Changed> {
    if (step === "root") return this.#rootStep();
    if (step === "crl") return { ...NOBODY, revoked: [await this.#revoke()] };
    // In the middle of a change of roots either may issue, as in life.
    const identity = gatewayOf(this.#site);
    this.#gateway = await this.#newest.issue(
      step === "key" ? { ...identity, keyType: this.#nextKeyType() } : identity,
    );
    return NOBODY;
  }

  get #newest(): Authority {
    return this.#roots.at(-1) as Authority;
  }

  async #rootStep(): Promise<Changed> {
    const phase = this.#phase;
    this.#phase = (phase + 1) % 3;
    const [old] = this.#roots as [Authority];
    if (phase === 0) {
      this.#roots = [old, this.#coming];
      return { ...NOBODY, guests: [await this.#newest.issue(peerOf(this.#site))] };
    }
    if (phase === 1) {
      this.#peer = await this.#newest.issue(peerOf(this.#site));
      this.#gateway = await this.#newest.issue(gatewayOf(this.#site));
      this.#coming = await createAuthority(`${this.#site} ${++this.#count}`);
      return { ...NOBODY, revoked: [await this.#revoke()] };
    }
    this.#roots = [this.#newest];
    await this.#issueLists();
    return { ...NOBODY, disowned: [await old.issue(peerOf(this.#site))] };
  }

  async #revoke(): Promise<IssuedCertificate> {
    const revoked = this.#visitor;
    this.#revoked.push(serialOf(revoked));
    this.#visitor = await this.#newest.issue(peerOf(this.#site));
    await this.#issueLists();
    return revoked;
  }

  async #issueLists(): Promise<void> {
    this.#lists = await Promise.all(
      [...this.#roots, this.#coming].map((root) => root.revoke(this.#revoked.slice(-REVOKED))),
    );
  }

  #nextKeyType(): "ec" | "rsa" {
    return KEY_TYPES[this.#count++ % KEY_TYPES.length] as "ec" | "rsa";
  }
}

interface Changed {
  readonly guests: readonly IssuedCertificate[];
  readonly revoked: readonly IssuedCertificate[];
  readonly disowned: readonly IssuedCertificate[];
}

const NOBODY: Changed = { guests: [], revoked: [], disowned: [] };

interface Made {
  readonly root: Authority;
  readonly coming: Authority;
  readonly gateway: IssuedCertificate;
  readonly peer: IssuedCertificate;
  readonly visitor: IssuedCertificate;
}

/** The gateway shows one certificate both ways, and so does the peer: to the gateway as a server and as a client. */
function gatewayOf(site: string) {
  return {
    commonName: "gateway",
    dnsNames: [gatewayHost(site)],
    uris: [gatewayId(site)],
    usage: "both",
  } as const;
}

function peerOf(site: string) {
  return { commonName: "peer", dnsNames: [peerHost(site)], uris: [peerId(site)], usage: "both" } as const;
}

/** Lists do not grow without end. */
const REVOKED = 8;
/** RSA keys take long to make. */
const KEY_TYPES = ["ec", "ec", "ec", "rsa"] as const;
