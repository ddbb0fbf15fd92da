import { get } from "node:http";
import { mappingYaml, tlsContextYaml } from "../../support/certificates.ts";
import { type Load, startLoad } from "../../support/load.ts";
import { until } from "../../support/until.ts";
import { type Client, shakeHands, SILENCE, type Tally } from "./handshakes.ts";
import { Peer } from "./peer.ts";
import { serialOf } from "./serial.ts";
import type { RotatingSource, StartSource } from "./sources.ts";
import { gatewayHost, peerHost, STEPS, type Step, World } from "./world.ts";

/** Clients in cleartext name this one, whatever site they want. */
export const CLEARTEXT_HOST = "plain.example";

export interface Ports {
  readonly http: number;
  readonly https: number;
}

/** One identity of the gateway: its issuer, the peer that it is shown to, and the route there. */
export class Site {
  readonly #name: string;
  readonly #world: World;
  readonly #peer: Peer;
  readonly #source: RotatingSource;
  readonly #random: () => number;
  readonly #tally: Tally;
  /** Of the gateway's certificate; null: a rotation is under way. */
  #inEffect: string | null = null;
  #turn = 0;
  #load: Load | null = null;

  private constructor(
    name: string,
    world: World,
    peer: Peer,
    source: RotatingSource,
    random: () => number,
    tally: Tally,
  ) {
    this.#name = name;
    this.#world = world;
    this.#peer = peer;
    this.#source = source;
    this.#random = random;
    this.#tally = tally;
  }

  static async start(
    name: string,
    startSource: StartSource,
    directory: string,
    random: () => number,
    tally: Tally,
  ): Promise<Site> {
    const world = await World.create(name);
    const peer = await Peer.start(world.peer, world.anchors);
    const source = await startSource(directory, name);
    await source.offer(world.offer);
    return new Site(name, world, peer, source, random, tally);
  }

  /** Its context is for both ways: the credential is shown to the peer, and to clients, who must show one themselves. */
  get yaml(): string {
    const name = this.#name;
    return (
      mappingYaml(name, {
        prefix: this.#path,
        service: `${peerHost(name)}:${this.#peer.port}`,
        tls: name,
        ...PATIENT,
      }) + tlsContextYaml(name, { hosts: [gatewayHost(name)], cert_required: true, ...this.#source.context })
    );
  }

  /** A client of the gateway as the world has it now. */
  get client(): Client {
    const { peer, anchors } = this.#world;
    const inEffect = (): string | null => this.#inEffect;
    return { host: gatewayHost(this.#name), path: this.#path, own: peer, anchors, inEffect };
  }

  get peer(): Pick<Peer, "mostOpen" | "longestStay" | "violations"> {
    return this.#peer;
  }

  startLoad(port: number, workers: number, pauseMs: number, now: () => number): Load {
    this.#load = startLoad(`http://127.0.0.1:${port}${this.#path}`, workers, CLEARTEXT_HOST, pauseMs, now);
    return this.#load;
  }

  async untilServed(port: number, explain: () => Promise<string>): Promise<void> {
    const headers = { host: CLEARTEXT_HOST };
    const isServed = (): Promise<boolean> =>
      new Promise((resolve) =>
        get({ host: "127.0.0.1", port, path: this.#path, headers, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode === 200);
        }),
      );
    await until(isServed, IN_EFFECT_WITHIN_MS, async () => `${this.#name}: ${await explain()}`);
  }

  /**
   * One step of the world's, until it is in effect both ways. How long that took, in milliseconds. `explain` may say what the
   * gateway thinks, where it takes too long.
   */
  async rotate({ https }: Ports, explain: () => Promise<string>): Promise<number> {
    const drawn = STEPS[Math.floor(this.#random() * STEPS.length)] as Step;
    const withoutLists = this.#source.withoutLists === true;
    const step = drawn === "crl" && withoutLists ? "leaf" : drawn;
    const turn = ++this.#turn;
    this.#peer.allowOnly(null);
    this.#inEffect = null;
    const { welcome, revoked, disowned } = await this.#world.step(step, this.#peer);
    const serial = serialOf(this.#world.offer.identity);
    this.#peer.expect(serial);
    const offered = performance.now();
    await this.#source.offer(this.#world.offer);
    const inTime = (isSo: () => boolean | Promise<boolean>, what: () => string): Promise<void> =>
      until(isSo, IN_EFFECT_WITHIN_MS, async () => {
        const wanted = `${this.#name}, turn ${turn} (${step}): ${what()}`;
        return `${wanted}; ${await explain()}`;
      });
    await inTime(
      () => this.#peer.isSpokenToOnlyBy(serial, offered),
      () => `${serial.slice(0, 8)} alone upstream, there are ${this.#peer.describe()}`,
    );
    this.#peer.allowOnly(serial);
    for (const own of welcome) {
      let last = "";
      await inTime(
        async () => {
          const outcome = await shakeHands(https, { ...this.client, own }, this.#tally);
          last = JSON.stringify(outcome);
          return outcome.serial === serial && outcome.status === 200;
        },
        () => `${serial.slice(0, 8)} shown to a client that is welcome, there is ${last}`,
      );
    }
    for (const own of withoutLists ? disowned : [...revoked, ...disowned])
      await inTime(
        async () => {
          const outcome = await shakeHands(https, { ...this.client, own }, this.#tally);
          return outcome.serial === undefined && outcome.failure !== SILENCE;
        },
        () => "a client that was revoked, or is of a root that is gone, is not refused",
      );
    this.#inEffect = serial;
    return performance.now() - offered;
  }

  async stop(): Promise<void> {
    await this.#load?.stop();
    await this.#source.stop();
    this.#peer.close();
  }

  get #path(): string {
    return `/${this.#name}/`;
  }
}

/** From the writing of a new credential until nothing speaks under the old one: far more than noticing and retiring take, on a busy machine too. */
const IN_EFFECT_WITHIN_MS = 60_000;
/** Peers are in this process: where the machine is busy, all of them may be slow at once. */
export const PATIENT = { connect_timeout_ms: 30_000, timeout_ms: 30_000 };
