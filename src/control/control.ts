import type { Compilation, CompileOptions } from "../compile/compilation.ts";
import { compile } from "../compile/compile.ts";
import { hashModel } from "../compile/hash-model.ts";
import { CompileMemory } from "../compile/compile-memory.ts";
import type { CredentialStore } from "../credentials/store.ts";
import type { Diagnostic } from "../diagnostics/diagnostic.ts";
import { sortDiagnostics } from "../diagnostics/render.ts";
import type { BoundListener, Engine, EngineProblem } from "../engines/engine.ts";
import type { Revision } from "../model/gateway.ts";
import type { MappingResource } from "../resources/mapping.ts";
import type { ResourceSet } from "../resources/resource-set.ts";
import type { Logger } from "../telemetry/logger.ts";
import { ControlLog } from "./control-log.ts";
import type { EndpointSources } from "./endpoint-sources.ts";
import { engineDiagnostic, type Places, placesIn } from "./engine-problems.ts";
import { type IncompleteStart, notReadyFor } from "./incomplete-start.ts";
import { PortRetry } from "./port-retry.ts";

export type Reading = "everything" | "noticed";

/** Where resources come from, as far as the loop needs to know. */
export interface ResourceSource {
  /** `noticed`: what the source has noticed by itself is enough; otherwise it looks at everything. */
  load(
    how: Reading,
  ): Promise<{ resources: ResourceSet; diagnostics: readonly Diagnostic[]; complete: boolean }>;
}

export interface ControlOptions {
  readonly source: ResourceSource;
  readonly store: CredentialStore;
  readonly engine: Engine;
  readonly compileOptions: CompileOptions;
  /** Told of each new ResourceSet before it is compiled: certificate files to follow. */
  readonly onResources: (resources: ResourceSet) => Promise<void>;
  /** Told of each model once it serves: what only earlier ones needed may go. */
  readonly onServing?: () => void;
  /** Absent: addresses come from DNS alone. */
  readonly endpoints?: EndpointSources;
  /** What becomes of a cold start with documents that cannot be read. */
  readonly incompleteStart: IncompleteStart;
  readonly logger: Logger;
}

export interface ControlState {
  /** The one that serves; null before the first. */
  readonly revision: Revision | null;
  readonly ready: boolean;
  /** Why not ready; null when it is. */
  readonly notReady: string | null;
  readonly listeners: readonly BoundListener[];
  readonly diagnostics: readonly Diagnostic[];
  /** What went wrong in the last round by a fault of Credence's own; null when nothing did. */
  readonly fault: string | null;
}

/**
 * The one loop: gather, compile, publish, keep the last good one. Runs one round at a time; what changes meanwhile makes
 * one more round, however much it was.
 */
export class Control {
  readonly #options: ControlOptions;
  readonly #unsubscribe: () => void;
  readonly #memory = new CompileMemory();
  #revision: Revision | null = null;
  #listeners: readonly BoundListener[] = [];
  #found: readonly Diagnostic[] = [];
  /** With what it was made of; null before the first. */
  #last: Compiled | null = null;
  /** Those whose files and issuers are followed. */
  #followed: ResourceSet | null = null;
  #problems: readonly EngineProblem[] = [];
  /** The revision that serves lacks something, a port perhaps, that may be had by now: it is applied again. */
  #isPartial = false;
  /** What the engine was given last, whether it took it or not. */
  #applied: Revision | null = null;
  readonly #ports = new PortRetry(() => void this.reload("noticed"));
  #complete = false;
  #isWithheld = false;
  #number = 0;
  #running: Promise<void> | null = null;
  #again = false;
  /** Of the round that runs: aborted when one more is to follow. */
  #overtaken = new AbortController();
  /** How the next round reads: who asks for one may know of what the source has not noticed yet. */
  #reading: Reading = "noticed";
  #stopped = false;
  readonly #log: ControlLog;
  #reporting: NodeJS.Timeout | undefined;
  #fault: string | null = null;
  #soon: NodeJS.Timeout | undefined;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#log = new ControlLog(options.logger);
    // A rotation reaches the engines by name; only what appears or disappears changes what is compiled.
    const unsubscribe = options.store.onChange((change) => {
      if (change.event !== "rotated") this.#reloadSoon();
      else this.#log.rotated(change, options.store);
    });
    const unsubscribeFindings = options.store.onFindings(() => this.#reportSoon());
    const unsubscribeEndpoints = options.endpoints?.onFindings(() => this.#reportSoon());
    const unsubscribeProblems = options.engine.onProblems?.((problems) => {
      this.#problems = problems;
      this.#reportSoon();
      // A round tells of its own at its end.
      if (this.#running === null && !this.#stopped) this.#ports.note(problems);
    });
    this.#unsubscribe = () => {
      unsubscribe();
      unsubscribeFindings();
      unsubscribeEndpoints?.();
      unsubscribeProblems?.();
    };
  }

  /** One round, or one more after the one that runs. Resolves when all that was known at the call is in effect. Never rejects. */
  reload(how: Reading = "everything"): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (how === "everything") this.#reading = how;
    if (this.#running !== null) {
      this.#again = true;
      this.#overtaken.abort();
      return this.#running;
    }
    this.#running = this.#rounds().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /**
   * Goes the way of a change a few times while nothing depends on it: V8 compiles what is run often, and the first changes of a large
   * world would wait for that. To be called once something serves; what serves is as it was.
   */
  async rehearse(): Promise<void> {
    for (let time = 0; time < REHEARSALS; time++) {
      // A round goes first.
      while (this.#running !== null) await this.#running;
      const [last, revision] = [this.#last, this.#revision];
      if (this.#stopped || last === null || last.hash !== revision?.hash) return;
      const { mappings } = last.resources;
      if (mappings.length < LARGE) return;
      const at = Math.floor((mappings.length * time) / REHEARSALS);
      const again = { ...(mappings[at] as MappingResource) };
      const { compilation } = this.#compile({ ...last.resources, mappings: mappings.with(at, again) });
      this.#compile(last.resources);
      await this.#options.engine.apply({ ...revision, model: compilation.model });
    }
  }

  get state(): ControlState {
    const notReady = this.#notReady();
    return {
      revision: this.#revision,
      ready: notReady === null,
      notReady,
      listeners: this.#listeners,
      diagnostics: sortDiagnostics(this.#diagnostics()),
      fault: this.#fault,
    };
  }

  /** Number of the one that serves; null before the first. */
  get revision(): number | null {
    return this.#revision?.number ?? null;
  }

  /** What was compiled last, whether it serves or not; null before the first. */
  get compiled(): Pick<Compiled, "resources" | "compilation"> | null {
    return this.#last;
  }

  /** Nothing is published from now on, and nothing is ready. What serves goes on until the engine is drained. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#soon);
    clearTimeout(this.#reporting);
    this.#ports.stop();
    this.#unsubscribe();
  }

  /** One change of credentials rarely comes alone. The engines know already, by name: this round is for the routes' sake. */
  #reloadSoon(): void {
    if (this.#stopped) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      void this.reload("noticed");
    }, DEBOUNCE_MS).unref();
  }

  async #rounds(): Promise<void> {
    do {
      this.#again = false;
      this.#overtaken = new AbortController();
      try {
        await this.#round();
        this.#fault = null;
      } catch (error) {
        // A fault of ours: what served goes on serving (design §4.3).
        this.#fault = error instanceof Error ? error.message : String(error);
        this.#log.fault(error);
      }
      if (!this.#stopped) this.#ports.note(this.#problems);
    } while (this.#again && !this.#stopped);
  }

  async #round(): Promise<void> {
    const { source, engine, endpoints, onServing } = this.#options;
    const how = this.#reading;
    this.#reading = "noticed";
    const loaded = await source.load(how);
    if (loaded.resources !== this.#followed) await this.#options.onResources(loaded.resources);
    this.#followed = loaded.resources;
    // What loading has just changed in the store is seen below.
    clearTimeout(this.#soon);
    this.#soon = undefined;
    const { compilation, hash } = this.#compile(loaded.resources);
    this.#found = [...loaded.diagnostics, ...compilation.diagnostics];
    await endpoints?.prepare(compilation.model);
    if (this.#stopped) return;
    const isRetry = this.#ports.takeDue();
    this.#isWithheld = this.#options.incompleteStart === "withheld" && !this.#complete && !loaded.complete;
    if (!this.#isWithheld && (hash !== this.#revision?.hash || this.#isPartial || isRetry)) {
      await this.#apply({ hash, model: compilation.model }, isRetry);
      if (this.#revision?.hash === hash) onServing?.();
    } else {
      if (engine.onProblems === undefined) this.#problems = [];
      onServing?.();
    }
    // Once complete, a later unreadable document keeps its last seen objects and costs no readiness.
    this.#complete ||= loaded.complete;
    this.#report();
  }

  /** `isRetry`: what is tried again for a port's sake is the revision that it was. */
  async #apply(made: Omit<Revision, "number">, isRetry: boolean): Promise<void> {
    const again = isRetry && this.#applied?.hash === made.hash ? this.#applied : null;
    const revision: Revision = { number: again?.number ?? ++this.#number, ...made };
    this.#applied = revision;
    const before = again === null ? null : this.#problems;
    const report = await this.#options.engine.apply(revision, this.#overtaken.signal);
    this.#log.applied(revision, report, this.#revision, before);
    this.#listeners = report.listeners;
    this.#problems = report.problems;
    if (!report.accepted) return;
    this.#revision = revision;
    // What the engine refuses for its bytes is refused again.
    this.#isPartial = report.problems.some(({ code }) => code !== "engine-refused");
  }

  /** A round in which nothing but bytes of Secrets has changed compiles nothing. */
  #compile(resources: ResourceSet): Compiled {
    const { store, compileOptions } = this.#options;
    const epoch = store.statusEpoch;
    if (this.#last?.resources === resources && this.#last.epoch === epoch) return this.#last;
    const compilation = compile(
      { resources, statuses: store.statuses, epoch, options: compileOptions },
      this.#memory,
    );
    this.#last = { resources, epoch, compilation, hash: hashModel(compilation.model) };
    return this.#last;
  }

  /** What is found between two rounds, about a file that turned bad or a certificate that ended. */
  #reportSoon(): void {
    if (this.#stopped || this.#running !== null) return;
    this.#reporting ??= setTimeout(() => {
      this.#reporting = undefined;
      if (!this.#stopped) this.#report();
    }, DEBOUNCE_MS).unref();
  }

  #report(): void {
    this.#log.findings(this.#diagnostics());
    this.#log.readiness(this.#notReady(), this.#options.engine);
  }

  #notReady(): string | null {
    if (this.#stopped) return "shutting down";
    if (this.#revision === null && !this.#isWithheld) return "no revision serves yet";
    if (typeof this.#options.engine.down === "string") return this.#options.engine.down;
    return this.#complete ? null : notReadyFor(this.#options.incompleteStart);
  }

  /** All that stand now, in no order. */
  #diagnostics(): Diagnostic[] {
    const { store, endpoints } = this.#options;
    const made = this.#problems.length === 0 ? null : this.#last;
    const places: Places = made === null ? new Map() : placesIn(made);
    return [
      ...this.#found,
      ...store.diagnostics(),
      ...(endpoints?.diagnostics() ?? []),
      ...this.#problems.map((problem) => engineDiagnostic(problem, places, store)),
    ];
  }
}

export interface Compiled {
  readonly resources: ResourceSet;
  /** Of the statuses of credentials. */
  readonly epoch: number;
  readonly compilation: Compilation;
  readonly hash: string;
}

const DEBOUNCE_MS = 30;
/** In Mappings: a change of fewer is soon computed. */
const LARGE = 1000;
const REHEARSALS = 10;
