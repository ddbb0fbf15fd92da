import { type Authority, createAuthority, type IssuedCertificate } from "../../../src/x509/authority.ts";
import type { Peer } from "./peer.ts";
import type { Offer } from "./sources.ts";

export type Step = "leaf" | "key" | "root" | "crl";
export const STEPS: readonly Step[] = ["leaf", "key", "root", "crl"];
/** Of the gateway, whatever its issuer. */
export const SPIFFE_ID = "spiffe://example.org/gateway";

/**
 * Issuers, and what gateway and peer have of them. `root` goes one step of the way that a root takes out of service
 * without an outage: both trust old and new; the peer's certificate is of the new one; the gateway's is; the old one is gone.
 */
export class World {
  #roots: readonly Authority[];
  #lists: readonly string[] = [];
  /** Serial numbers of certificates that nobody shows any more. */
  readonly #revoked: string[] = [];
  #phase = 0;
  #count = 0;
  #gateway: IssuedCertificate;
  #server: IssuedCertificate;

  private constructor(root: Authority, gateway: IssuedCertificate, server: IssuedCertificate) {
    this.#roots = [root];
    this.#gateway = gateway;
    this.#server = server;
  }

  static async create(): Promise<World> {
    const root = await createAuthority("root 0");
    const world = new World(root, await root.issue(GATEWAY), await root.issue(SERVER));
    await world.#issueLists();
    return world;
  }

  get offer(): Offer {
    return { identity: this.#gateway, anchors: this.anchors, lists: this.#lists };
  }

  get anchors(): readonly string[] {
    return this.#roots.map(({ certificate }) => certificate);
  }

  get server(): IssuedCertificate {
    return this.#server;
  }

  /** Changes the world by one step; the peer knows at once, and the gateway is told by whoever calls. */
  async step(step: Step, peer: Peer): Promise<void> {
    const newest = this.#roots.at(-1) as Authority;
    // In the middle of a change of roots either may issue, as in life.
    if (step === "leaf") this.#gateway = await newest.issue(GATEWAY);
    else if (step === "key") this.#gateway = await newest.issue({ ...GATEWAY, keyType: this.#nextKeyType() });
    else if (step === "root") await this.#rootStep();
    else this.#revoked.push((this.#revoked.length + 0x1000).toString(16));
    // Every root has its list, and what was issued under a root before is on none.
    await this.#issueLists();
    peer.present(this.#server, this.anchors);
  }

  async #issueLists(): Promise<void> {
    this.#lists = await Promise.all(this.#roots.map((root) => root.revoke(this.#revoked.slice(-REVOKED))));
  }

  #nextKeyType(): "ec" | "rsa" {
    return KEY_TYPES[this.#count++ % KEY_TYPES.length] as "ec" | "rsa";
  }

  async #rootStep(): Promise<void> {
    const [old] = this.#roots as [Authority];
    const next = this.#roots[1] ?? old;
    switch (this.#phase) {
      case 0:
        this.#roots = [old, await createAuthority(`root ${++this.#count}`)];
        break;
      case 1:
        this.#server = await next.issue(SERVER);
        this.#gateway = await next.issue(GATEWAY);
        break;
      default:
        this.#roots = [next];
    }
    this.#phase = (this.#phase + 1) % 3;
  }
}

/** The gateway shows one certificate both ways, and so does the peer: to the gateway as a server and as a client. */
const GATEWAY = {
  commonName: "gateway",
  dnsNames: ["gateway.example"],
  uris: [SPIFFE_ID],
  usage: "both",
} as const;
const SERVER = {
  commonName: "server",
  dnsNames: ["localhost"],
  uris: ["spiffe://example.org/server"],
  usage: "both",
} as const;
/** Lists do not grow without end. */
const REVOKED = 100;
const KEY_TYPES = ["ec", "rsa"] as const;
