import type { CredentialChange, CredentialReader } from "../../credentials/credential.ts";
import { type DiscoveredEndpoints, NOTHING_DISCOVERED } from "../../endpoints/discovered.ts";
import type { GatewayModel, Revision } from "../../model/gateway.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { ApplyReport, BoundListener, Engine, EngineProblem } from "../engine.ts";
import type { AdsClient } from "./ads/client.ts";
import type { AdsServer } from "./ads/server.ts";
import { EMPTY, type Snapshot, snapshotOfLists } from "./ads/snapshot.ts";
import type { ListenerBounds } from "./bounds.ts";
import { caughtUp } from "./caught-up.ts";
import { ListenerPorts, portless } from "./listener-ports.ts";
import { OwnPorts } from "./own-ports.ts";
import { withoutListeners } from "./port-probe.ts";
import { problemsOf } from "./problems.ts";
import { revisionSecret } from "./revision-secret.ts";
import { factsOf, secretsWith, withMoved, withRotated } from "./rotation.ts";
import { secretNames } from "./secret-names.ts";
import { translateSecrets } from "./secrets.ts";
import { acceptanceIn } from "./tls/acceptance.ts";
import { translateByKind } from "./translate.ts";
import type { TranslationContext } from "./translation-context.ts";
import { TranslationMemory } from "./translation-memory.ts";

export interface EnvoyEngineOptions {
  readonly ads: AdsServer;
  /** The group of clients that gets what this engine is given. */
  readonly group: string;
  readonly credentials: CredentialReader;
  /** Of clusters with a resolver; absent: there are none. */
  readonly discovered?: DiscoveredEndpoints;
  /** They are those of names too; absent: Envoy asks DNS. */
  readonly knowsNames?: boolean;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The bootstrap's static cluster that leads to Credence itself. */
  readonly ownCluster?: string;
  /** A line for each request on Envoy's standard output. */
  readonly accessLog?: boolean;
  readonly bounds?: ListenerBounds;
  /** Processes that this engine has of its own; absent: a fleet that others run. */
  readonly proxies?: Proxies;
  /** How long `apply` waits for connected clients; they go on catching up after that. */
  readonly waitForClientsMs?: number;
}

/** Envoy processes of this machine. */
export interface Proxies {
  /** Why they serve nothing just now; null: they do. */
  readonly down?: string | null;
  /** They were started a moment ago. */
  readonly isStarting?: boolean;
  /** What stands against them while they run. */
  readonly problems?: readonly EngineProblem[];
  /** Called when `problems` have changed. Returns the function that ends it. */
  onProblems?(listener: () => void): () => void;
  /** Names of the listeners that take connections as they were acknowledged; none while that cannot be told. */
  openListeners(): Promise<ReadonlySet<string>>;
  /** Stop accepting; resolves when what is in flight has ended, or after `milliseconds`. */
  drain(milliseconds: number): Promise<void>;
  stop(): Promise<void>;
}

/** The model served to a fleet of Envoys. `fleet` may be read at any time. */
export function createEnvoyEngine(options: EnvoyEngineOptions): EnvoyEngine {
  return new EnvoyEngine(options);
}

export class EnvoyEngine implements Engine {
  readonly name = "envoy";
  readonly #options: EnvoyEngineOptions;
  readonly #ports: ListenerPorts;
  readonly #unsubscribe: () => void;
  readonly #memory = new TranslationMemory();
  #snapshot: Snapshot = EMPTY;
  #revision: Revision | null = null;
  #serves = false;
  /** Listeners whose port somebody else on this machine has. */
  #taken: readonly EngineProblem[] = [];
  readonly #ownPorts: OwnPorts;
  #turn: Promise<unknown> = Promise.resolve();
  /** SDS secrets that the revision names. */
  #secrets: ReadonlySet<string> = new Set();
  /** Those that have changed since the last publication. */
  readonly #rotated = new Set<string>();
  /** Those whose addresses have changed since the last publication, by their names in the endpoint store. */
  readonly #moved = new Set<string>();

  constructor(options: EnvoyEngineOptions) {
    this.#options = options;
    this.#ports = new ListenerPorts();
    this.#ownPorts = new OwnPorts(options.clock);
    const unsubscribe = options.credentials.onChange((change) => this.#onCredentialChange(change));
    const unsubscribeEndpoints = options.discovered?.onChange((name) => this.#onEndpointsChange(name));
    this.#unsubscribe = () => {
      unsubscribe();
      unsubscribeEndpoints?.();
    };
  }

  /** Why own processes serve nothing just now. */
  get down(): string | null {
    return this.#options.proxies?.down ?? null;
  }

  get isStarting(): boolean {
    return this.#options.proxies?.isStarting ?? false;
  }

  /** The group's clients whose streams are open. */
  get fleet(): AdsClient[] {
    return this.#options.ads.clients.filter(({ group }) => group === this.#options.group);
  }

  /** What the connected clients refuse of what serves now, and listeners that they were not given. */
  get problems(): EngineProblem[] {
    const own = this.#options.proxies?.problems ?? [];
    return [...own, ...this.#taken, ...problemsOf(this.fleet, tcpNames(this.#revision?.model))];
  }

  /** Called when `problems` have changed. */
  onProblems(listener: (problems: readonly EngineProblem[]) => void): () => void {
    let before = JSON.stringify([[], this.down]);
    const look = (): void => {
      const { problems } = this;
      // What is the matter with own processes is for whoever asks: that it has changed is all there is to say.
      const now = JSON.stringify([problems, this.down]);
      if (now === before) return;
      before = now;
      listener(problems);
    };
    const { ads, proxies } = this.#options;
    const [unsubscribe, unsubscribeOwn] = [ads.onChange(look), proxies?.onProblems?.(look)];
    return () => {
      unsubscribe();
      unsubscribeOwn?.();
    };
  }

  /** One revision after the other, in the order in which they were given. */
  apply(revision: Revision, overtaken?: AbortSignal): Promise<ApplyReport> {
    const report = this.#turn.then(() => this.#apply(revision, overtaken));
    this.#turn = report.catch(() => undefined);
    return report;
  }

  async drain(milliseconds: number): Promise<void> {
    await this.#options.proxies?.drain(milliseconds);
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    await this.#options.proxies?.stop();
  }

  async #apply(revision: Revision, overtaken: AbortSignal | undefined): Promise<ApplyReport> {
    const bound = await this.#choosePorts(revision.model);
    const served = {
      ...revision,
      model: withoutListeners(revision.model, new Set(this.#taken.map(({ subject }) => subject))),
    };
    this.#revision = served;
    const { ads, clock, group, proxies, waitForClientsMs = WAIT_MS } = this.#options;
    ads.retryPorts(group);
    await this.#publish(served);
    await caughtUp(served.number, {
      clock,
      fleet: () => this.fleet,
      onChange: (listener) => ads.onChange(listener),
      openListeners: proxies && (() => proxies.openListeners()),
      atMostMs: waitForClientsMs,
      overtaken,
    });
    const { problems } = this;
    const closed = new Set(this.#refusedListeners());
    for (const { code, subject } of problems) {
      if (code !== "listener-port-unavailable" && code !== "tcp-port-unavailable") continue;
      closed.add(subject);
      this.#ports.forget(subject);
    }
    // Without its HTTP listeners a first revision serves nothing; else what cannot be opened is left out.
    const accepted = this.#serves || !revision.model.listeners.some(({ name }) => closed.has(name));
    this.#serves ||= accepted;
    const listeners = bound.filter(({ name }) => !closed.has(name));
    if (this.#options.proxies !== undefined) await this.#ownPorts.become(listeners);
    return { revision: revision.number, accepted, listeners, problems };
  }

  /** Finds out which are taken. A listener that may have any port gets another one then. */
  async #choosePorts(model: GatewayModel): Promise<BoundListener[]> {
    const any = new Set(portless(model).map(({ name }) => name));
    for (let tries = 1; ; tries++) {
      const bound = boundListeners(model, await this.#ports.choose(model));
      // A fleet's ports are those of other machines.
      if (this.#options.proxies === undefined) return bound;
      this.#taken = await this.#ownPorts.problems(bound, tcpNames(model));
      const movable = this.#taken.filter(({ subject }) => any.has(subject));
      if (movable.length === 0 || tries === MOST_TRIES) return bound;
      for (const { subject } of movable) this.#ports.forget(subject);
    }
  }

  /** Those that own proxies have no version of. */
  #refusedListeners(): string[] {
    if (this.#options.proxies === undefined) return [];
    return this.fleet.flatMap(({ nacks }) =>
      nacks.flatMap(({ kind, instead, name }) =>
        kind === "listener" && instead === "nothing" ? [name] : [],
      ),
    );
  }

  async #publish({ model, number }: Revision): Promise<void> {
    const { credentials, ads, group } = this.#options;
    this.#secrets = secretNames(model);
    this.#rotated.clear();
    this.#moved.clear();
    const context = this.#context(await this.#ports.choose(model));
    const secrets = translateSecrets(this.#secrets, credentials);
    if (context.namesRevision === true) secrets.push(revisionSecret(number));
    const lists = translateByKind(model, context, this.#memory).set("secret", secrets);
    this.#snapshot = snapshotOfLists(lists, this.#snapshot);
    ads.publish(group, this.#snapshot, String(number));
  }

  #context(ports: ReadonlyMap<string, number>): TranslationContext {
    const {
      credentials,
      discovered = NOTHING_DISCOVERED,
      knowsNames,
      ownCluster,
      bounds,
      accessLog,
      proxies,
    } = this.#options;
    const isAlone = accessLog === true && proxies === undefined;
    return {
      discovered,
      ...(knowsNames === undefined ? {} : { knowsNames }),
      ...factsOf(this.#secrets, credentials),
      acceptance: acceptanceIn(credentials),
      ports,
      ...(bounds === undefined ? {} : { bounds }),
      ...(ownCluster === undefined ? {} : { ownCluster }),
      // Lines of our own are completed, and what it tells of handshakes is a line of ours.
      ...(accessLog === undefined ? {} : { accessLog, handshakeLines: isAlone, namesRevision: isAlone }),
    };
  }

  /**
   * A rotation needs no new revision: the secret goes out by name, with the new generation of the clusters that use it. One
   * that was withdrawn and is back may need none either. One that is withdrawn is no business of the engine: its users are compiled anew.
   */
  #onCredentialChange(change: CredentialChange): void {
    if (change.event === "unusable") return;
    const isPending = this.#rotated.size > 0;
    for (const secret of secretsWith(this.#secrets, change)) this.#rotated.add(secret);
    // Several come together where a CA is rotated.
    if (isPending || this.#rotated.size === 0) return;
    this.#turn = this.#turn
      .then(() => this.#publishRotated())
      .catch((error: unknown) =>
        this.#options.logger.error({ err: error }, "a rotated credential cannot be published"),
      );
  }

  async #publishRotated(): Promise<void> {
    const revision = this.#revision;
    const rotated = new Set(this.#rotated);
    this.#rotated.clear();
    // The revision that was published meanwhile had them already.
    if (revision === null || rotated.size === 0) return;
    const { credentials, ads, group } = this.#options;
    const context = this.#context(await this.#ports.choose(revision.model));
    this.#snapshot = withRotated(this.#snapshot, rotated, revision.model, context, credentials, this.#memory);
    ads.publish(group, this.#snapshot, String(revision.number));
  }

  /** Addresses go out by name too. Each costs a look at all clusters, so what comes within a moment goes out at once. */
  #onEndpointsChange(name: string): void {
    this.#moved.add(name);
    if (this.#moved.size === 1) this.#options.clock.after(GATHERED_MS, () => this.#publishMoved());
  }

  #publishMoved(): void {
    this.#turn = this.#turn
      .then(async () => {
        const revision = this.#revision;
        // The revision that was published meanwhile had them already.
        const moved = new Set(this.#moved);
        this.#moved.clear();
        if (revision === null || moved.size === 0) return;
        const context = this.#context(await this.#ports.choose(revision.model));
        this.#snapshot = withMoved(this.#snapshot, moved, revision.model, context, this.#memory);
        this.#options.ads.publish(this.#options.group, this.#snapshot, String(revision.number));
      })
      .catch((error: unknown) =>
        this.#options.logger.error({ err: error }, "changed endpoints cannot be published"),
      );
  }
}

function boundListeners(model: GatewayModel, ports: ReadonlyMap<string, number>): BoundListener[] {
  return [...model.listeners, ...(model.tcpListeners ?? [])].map(({ name, address, port }) => ({
    name,
    address,
    port: port === 0 ? (ports.get(name) ?? 0) : port,
  }));
}

function tcpNames(model: GatewayModel | undefined): ReadonlySet<string> {
  return new Set((model?.tcpListeners ?? []).map(({ name }) => name));
}

const WAIT_MS = 10_000;
const GATHERED_MS = 20;
const MOST_TRIES = 5;
