import { CredentialStore } from "../../../../src/credentials/store.ts";
import { NOTHING_DISCOVERED } from "../../../../src/endpoints/discovered.ts";
import type { Endpoint, EndpointReader } from "../../../../src/endpoints/endpoint.ts";
import { Deadlines } from "../../../../src/engines/node/deadlines.ts";
import { DEFAULT_LIMITS, type Limits } from "../../../../src/engines/node/limits.ts";
import { UpstreamCluster } from "../../../../src/engines/node/upstream/cluster.ts";
import type { UpstreamFailure } from "../../../../src/engines/node/upstream/classify.ts";
import type { UpstreamConnection, UpstreamUser } from "../../../../src/engines/node/upstream/connection.ts";
import { ANY_HOST, type Choice } from "../../../../src/engines/node/upstream/hosts.ts";
import type { Cluster } from "../../../../src/model/cluster.ts";
import type { PeerVerification, TlsParameters, UpstreamTls } from "../../../../src/model/tls.ts";
import { type Clock, systemClock } from "../../../../src/telemetry/clock.ts";
import { createLogger } from "../../../../src/telemetry/logger.ts";
import type { Authority, IssueOptions } from "../../../../src/x509/authority.ts";

export const CREDENTIAL = "secret/default/client";
export const TRUST = "secret/default/ca";

export const PARAMETERS: TlsParameters = {
  minVersion: "v1.2",
  maxVersion: "v1.3",
  cipherSuites: [],
  groups: [],
  alpn: [],
};

type Originate = Extract<UpstreamTls, { mode: "originate" }>;

/** Mutual TLS to `upstream.test`, verified. */
export function mutualTls(changes: Partial<Originate> = {}): Originate {
  return {
    mode: "originate",
    context: "default/upstream",
    credential: CREDENTIAL,
    verification: named("upstream.test"),
    sni: "upstream.test",
    parameters: PARAMETERS,
    ...changes,
  };
}

export function named(name: string): PeerVerification {
  return { mode: "chain-and-name", trust: TRUST, name };
}

export interface Setup {
  readonly store: CredentialStore;
  readonly cluster: UpstreamCluster;
  close(): void;
}

export interface SetupOptions {
  readonly tls: UpstreamTls;
  readonly endpoints: readonly Endpoint[] | EndpointReader;
  readonly store?: CredentialStore;
  readonly limits?: Partial<Limits>;
  readonly connectTimeoutMs?: number;
  /** What else the cluster's configuration says. */
  readonly config?: Partial<Cluster>;
  /** The cluster's; the system's by default. */
  readonly clock?: Clock;
}

/** A cluster on a real credential store, wired as the engine does it. */
export function setUp(options: SetupOptions): Setup {
  const store = options.store ?? new CredentialStore(systemClock);
  const deadlines = new Deadlines();
  const config: Cluster = {
    name: "cluster",
    service: { host: "upstream.test", port: 443 },
    connectTimeoutMs: options.connectTimeoutMs ?? 3000,
    tls: options.tls,
    ...options.config,
  };
  const { endpoints } = options;
  const cluster = new UpstreamCluster(config, {
    credentials: store,
    discovered: NOTHING_DISCOVERED,
    endpoints: "resolve" in endpoints ? endpoints : { resolve: () => endpoints },
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    deadlines,
    logger: createLogger("silent"),
    clock: options.clock ?? systemClock,
  });
  const unsubscribe = store.onChange((change) => cluster.onCredentialChange(change));
  return {
    store,
    cluster,
    close() {
      unsubscribe();
      cluster.close(0);
      deadlines.stop();
    },
  };
}

export async function offerClient(
  store: CredentialStore,
  authority: Authority,
  options: IssueOptions,
): Promise<void> {
  const { certificate, privateKey } = await authority.issue(options);
  store.offer(CREDENTIAL, { certificateChain: certificate, privateKey }, ORIGIN);
}

export function offerTrust(store: CredentialStore, ...anchors: string[]): void {
  store.offer(TRUST, { trustAnchors: anchors.join("") }, ORIGIN);
}

/** One request's side of a connection; remembers the order of what happened to it. */
export class Requester implements UpstreamUser {
  readonly events: string[] = [];
  connection: UpstreamConnection | null = null;
  received = "";
  /** Of the last failure. */
  handshake: UpstreamFailure["handshake"];
  readonly #waiting: { test: () => boolean; go: () => void }[] = [];

  onUpstreamReady(connection: UpstreamConnection): void {
    this.connection = connection;
    this.#note("ready");
  }

  onUpstreamFailed({ reason, cause, handshake }: UpstreamFailure, address: string | null): void {
    this.handshake = handshake;
    this.#note(`failed ${reason}: ${cause}${address === null ? "" : ` @${address.replace(/:\d+$/, "")}`}`);
  }

  onUpstreamData(chunk: Buffer): void {
    this.received += chunk.toString("latin1");
    this.#note("data");
  }

  onUpstreamDrain(): void {
    this.#note("drain");
  }

  onUpstreamClosed({ reason, cause, handshake }: UpstreamFailure): void {
    this.handshake = handshake;
    this.#note(`closed ${reason}: ${cause}`);
  }

  get last(): string {
    return this.events.at(-1) ?? "";
  }

  async until(test: () => boolean): Promise<this> {
    if (!test()) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`waited in vain after ${this.events}`)), 20_000);
        this.#waiting.push({
          test,
          go: () => {
            clearTimeout(timer);
            resolve();
          },
        });
      });
    }
    return this;
  }

  #note(event: string): void {
    this.events.push(event);
    for (const waiter of this.#waiting) if (waiter.test()) waiter.go();
  }
}

/** Asks `cluster` for a connection and waits until there is one, or an answer why not. */
export async function acquire(
  cluster: UpstreamCluster,
  fresh = false,
  choice: Choice = ANY_HOST,
): Promise<Requester> {
  const requester = new Requester();
  cluster.acquire(requester, fresh, choice);
  return requester.until(() => requester.events.length > 0);
}

/** A whole request: acquire, write, read the answer. The connection is still the requester's. */
export async function request(
  cluster: UpstreamCluster,
  fresh = false,
  choice: Choice = ANY_HOST,
): Promise<Requester> {
  const requester = await acquire(cluster, fresh, choice);
  if (requester.connection === null) return requester;
  requester.connection.write("request");
  return requester.until(() => requester.last !== "ready");
}

/** Waits for what another process or a timer does. */
export async function eventually(test: () => boolean, what: string, milliseconds = 20_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!test()) {
    if (performance.now() > end) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const ORIGIN = { subject: { kind: "Secret", namespace: "default", name: "client" } } as const;
