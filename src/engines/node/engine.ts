import type { AnchorSink } from "../../credentials/anchor-ledger.ts";
import type { CredentialReader } from "../../credentials/credential.ts";
import { type DiscoveredEndpoints, NOTHING_DISCOVERED } from "../../endpoints/discovered.ts";
import type { EndpointReader } from "../../endpoints/endpoint.ts";
import { addressText } from "../../model/address.ts";
import type { Revision } from "../../model/gateway.ts";
import type { Listener } from "../../model/listener.ts";
import type { TcpListener } from "../../model/tcp.ts";
import type { AccessLog } from "../../telemetry/access-log.ts";
import type { Clock } from "../../telemetry/clock.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type {
  ApplyReport,
  BoundListener,
  Engine,
  EngineProblem,
  FailureSink,
  HandshakeSink,
  TrySink,
} from "../engine.ts";
import { ClientConnection } from "./client-connection.ts";
import { Deadlines } from "./deadlines.ts";
import { DEFAULT_LIMITS, type Limits } from "./limits.ts";
import { NodeListener } from "./listener.ts";
import type { ListeningContext } from "./listening-socket.ts";
import { createPlan, type Plan } from "./plan.ts";
import { parsers, type Serving } from "./serving.ts";
import { EngineStats } from "./stats.ts";
import type { TcpListenerContext } from "./tcp/listener.ts";
import { TcpListeners } from "./tcp/listeners.ts";
import { TcpStream } from "./tcp/stream.ts";
import type { VouchedClient } from "./tls/client-check.ts";
import { ClientRoll, type RetirableConnection } from "./tls/client-roll.ts";
import { UpstreamCluster } from "./upstream/cluster.ts";

export interface NodeEngineOptions {
  readonly credentials: CredentialReader;
  readonly endpoints: EndpointReader;
  /** Of clusters with a resolver; absent: there are none. */
  readonly discovered?: DiscoveredEndpoints;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Undefined: no access log. */
  readonly accessLog?: AccessLog | undefined;
  readonly onFailure: FailureSink;
  readonly onTryFailed?: TrySink;
  readonly onHandshakeFailed?: HandshakeSink;
  /** Told which CA vouched, at each handshake. */
  readonly onVerified?: AnchorSink;
  readonly limits?: Partial<Limits>;
}

/** The embedded engine: a reverse proxy on raw sockets in this process. `stats` may be read at any time. */
export function createNodeEngine(options: NodeEngineOptions): NodeEngine {
  return new NodeEngine(options);
}

export class NodeEngine implements Engine {
  readonly name = "node";
  readonly stats: EngineStats = new EngineStats();
  readonly #options: NodeEngineOptions;
  readonly #limits: Limits;
  readonly #deadlines = new Deadlines();
  readonly #listeners = new Map<string, OpenListener>();
  readonly #tcp = new TcpListeners();
  readonly #clients: ClientRoll;
  readonly #unsubscribe: () => void;
  #serving: Serving | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: NodeEngineOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#clients = new ClientRoll({
      credentials: options.credentials,
      logger: options.logger,
      retireMs: this.#limits.retireMs,
      onEnded: (reason) => this.stats.countEndedClient(reason),
    });
    const unsubscribeEndpoints = options.discovered?.onChange((name) => {
      for (const cluster of this.#serving?.plan.clusters.values() ?? []) cluster.onEndpointsChange(name);
    });
    const unsubscribe = options.credentials.onChange((change) => {
      for (const cluster of this.#serving?.plan.credentialUsers.of(change) ?? [])
        cluster.onCredentialChange(change);
      for (const { listener } of this.#listeners.values()) listener.onCredentialChange();
      this.#tcp.onCredentialChange();
      this.#clients.onCredentialChange(change);
    });
    this.#unsubscribe = () => {
      unsubscribe();
      unsubscribeEndpoints?.();
    };
  }

  /** One revision after the other, in the order in which they were given. */
  apply(revision: Revision): Promise<ApplyReport> {
    const report = this.#turn.then(() => this.#apply(revision));
    this.#turn = report.catch(() => undefined);
    return report;
  }

  async drain(milliseconds: number): Promise<void> {
    const serving = this.#serving;
    if (serving === null) return;
    serving.draining = true;
    this.#tcp.close();
    await Promise.all([...this.#listeners.values()].map(({ listener }) => listener.close()));
    const end = performance.now() + milliseconds;
    // A client may be writing on a connection that looks idle: those used a moment ago get that moment once more, and
    // their next response says `Connection: close` (RFC 9112 §9.6).
    while (serving.connections.size > 0 && performance.now() < end) {
      const now = performance.now();
      for (const connection of serving.connections) connection.drain(now, IDLE_GRACE_MS);
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#listeners.values()].map(({ listener }) => listener.close()));
    this.#listeners.clear();
    this.#tcp.close();
    this.#clients.close();
    for (const connection of this.#serving?.connections ?? []) connection.destroy();
    for (const cluster of this.#serving?.plan.clusters.values() ?? []) cluster.close(0);
    this.#deadlines.stop();
  }

  async #apply(revision: Revision): Promise<ApplyReport> {
    const previous = this.#serving?.plan ?? null;
    const { plan, retired } = createPlan(revision, previous, (config) => this.#createCluster(config));
    const serving = this.#serving ?? this.#createServing(plan);
    this.#serving = serving;
    const tcpListeners = revision.model.tcpListeners ?? [];
    const opened: Opened = { fresh: [], problems: [] };
    const tcpPorts = new Set(this.#tcp.configs.map(({ port }) => port));
    const { listeners } = revision.model;
    const free = listeners.filter(({ port }) => !tcpPorts.has(port));
    await this.#openListeners(free, plan, serving, opened);
    let tcpBefore: readonly TcpListener[] | null = null;
    // Ports of ours are given up once all others could be had.
    if (opened.problems.length === 0 && free.length < listeners.length) {
      tcpBefore = await this.#vacate(revision, serving);
      const vacated = listeners.filter((listener) => !free.includes(listener));
      await this.#openListeners(vacated, plan, serving, opened);
    }
    if (opened.problems.length > 0) {
      await Promise.all(opened.fresh.map(({ listener }) => listener.close()));
      for (const cluster of plan.clusters.values()) {
        if (previous?.clusters.get(cluster.config.name) !== cluster) cluster.close(0);
      }
      if (previous === null) this.#serving = null;
      else if (tcpBefore !== null) await this.#tcp.apply(tcpBefore, this.#tcpContext(serving));
      return {
        revision: revision.number,
        accepted: false,
        listeners: this.#bound(),
        problems: opened.problems,
      };
    }
    serving.plan = plan;
    const wanted = new Set(revision.model.listeners.map(({ name }) => name));
    for (const entry of opened.fresh) this.#replace(entry);
    for (const [name, { listener }] of this.#listeners) {
      if (wanted.has(name)) listener.update(plan.hosts);
      else {
        this.#listeners.delete(name);
        void listener.close();
      }
    }
    serving.httpsPort = this.#listeners.get("https")?.bound.port ?? null;
    const problems = await this.#tcp.apply(tcpListeners, this.#tcpContext(serving));
    for (const cluster of retired) cluster.close(this.#limits.retireMs);
    return { revision: revision.number, accepted: true, listeners: this.#bound(), problems };
  }

  /** Frees ports that TCPMappings had until now and an HTTP listener is to have; returns what was open before. */
  async #vacate({ model }: Revision, serving: Serving): Promise<TcpListener[]> {
    const before = this.#tcp.configs;
    const ports = new Set(model.listeners.map(({ port }) => port));
    const wanted = new Set((model.tcpListeners ?? []).map(({ name }) => name));
    const staying = before.filter(({ name, port }) => wanted.has(name) || !ports.has(port));
    if (staying.length < before.length) await this.#tcp.apply(staying, this.#tcpContext(serving));
    return before;
  }

  #tcpContext(serving: Serving): TcpListenerContext {
    return {
      credentials: this.#options.credentials,
      limits: this.#limits,
      logger: this.#options.logger,
      ...this.#accepting(serving),
      onStream: (accepted) => this.#watch(accepted, new TcpStream(accepted, serving)),
    };
  }

  /** Opens what is not open yet; nothing serves from it before all of it is. */
  async #openListeners(
    wanted: readonly Listener[],
    plan: Plan,
    serving: Serving,
    { fresh, problems }: Opened,
  ): Promise<void> {
    for (const config of wanted) {
      const known = this.#listeners.get(config.name)?.config;
      if (known !== undefined && JSON.stringify(known) === JSON.stringify(config)) continue;
      const listener = new NodeListener(config, {
        hosts: plan.hosts,
        credentials: this.#options.credentials,
        limits: this.#limits,
        logger: this.#options.logger,
        ...this.#accepting(serving),
        onConnection: (accepted) => this.#watch(accepted, new ClientConnection(accepted, serving)),
      });
      try {
        fresh.push({ listener, config, bound: { name: config.name, ...(await listener.open()) } });
      } catch (error) {
        const reason = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
        problems.push({
          code: "listener-port-unavailable",
          subject: config.name,
          message: `listener ${config.name} cannot open ${addressText(config.address, config.port)}: ${reason}`,
        });
      }
    }
  }

  #watch({ vouched }: { vouched: VouchedClient | null }, connection: RetirableConnection): void {
    if (vouched !== null) this.#clients.join(vouched, connection);
  }

  #replace(entry: OpenListener): void {
    void this.#listeners.get(entry.config.name)?.listener.close();
    this.#listeners.set(entry.config.name, entry);
  }

  #mayAccept(serving: Serving): boolean {
    const may = !serving.draining && serving.connections.size < this.#limits.maxConnections;
    if (!may) this.stats.connectionsRefused++;
    return may;
  }

  #accepting(serving: Serving): Omit<ListeningContext, "limits" | "logger"> {
    return {
      onVerified: this.#options.onVerified,
      onHandshakeFailed: this.#options.onHandshakeFailed ?? (() => {}),
      mayAccept: () => this.#mayAccept(serving),
      readsProxyHeader: () => serving.plan.settings.proxyProtocol === true,
      onProxyHeaderRefused: () => this.stats.proxyHeadersRefused++,
    };
  }

  #bound(): BoundListener[] {
    return [...[...this.#listeners.values()].map(({ bound }) => bound), ...this.#tcp.bound];
  }

  #createCluster(config: UpstreamCluster["config"]): UpstreamCluster {
    const { credentials, endpoints, discovered = NOTHING_DISCOVERED, logger, clock } = this.#options;
    return new UpstreamCluster(config, {
      credentials,
      endpoints,
      discovered,
      limits: this.#limits,
      deadlines: this.#deadlines,
      logger,
      clock,
      onTryFailed: this.#options.onTryFailed,
      onVerified: this.#options.onVerified,
    });
  }

  #createServing(plan: Plan): Serving {
    return {
      plan,
      draining: false,
      httpsPort: null,
      limits: this.#limits,
      deadlines: this.#deadlines,
      logger: this.#options.logger,
      accessLog: this.#options.accessLog,
      onFailure: this.#options.onFailure,
      onTryFailed: this.#options.onTryFailed,
      stats: this.stats,
      connections: new Set(),
      ...parsers(this.#limits),
    };
  }
}

interface OpenListener {
  readonly listener: NodeListener;
  readonly config: Listener;
  readonly bound: BoundListener;
}

/** What an `apply` has opened so far, and what it could not. */
interface Opened {
  readonly fresh: OpenListener[];
  readonly problems: EngineProblem[];
}

const IDLE_GRACE_MS = 1000;
const DRAIN_POLL_MS = 20;
