import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Clock } from "../../../telemetry/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { EngineProblem } from "../../engine.ts";
import { EnvoyAdmin } from "./admin-client.ts";
import { Backoff } from "./backoff.ts";
import { drainEnvoy } from "./drain.ts";
import type { JsonObject } from "./json.ts";
import { joinLog, logFlags } from "./log-lines.ts";
import { endWithUs } from "./orphan-watch.ts";
import { type Patience, patienceOf, watchPulse } from "./pulse.ts";
import type { RunDirectory } from "./run-directory.ts";

export interface SupervisorOptions {
  /** Of the Envoy to run. */
  readonly path: string;
  readonly bootstrap: JsonObject;
  readonly directory: RunDirectory;
  /** How long connections have whose listener or filter chain is replaced. */
  readonly drainSeconds: number;
  /** Worker threads; absent: as many as the machine has. */
  readonly concurrency?: number | undefined;
  /** Takes Envoy's standard output, where access log lines go; absent: nobody does. */
  readonly output?: { write(piece: string): void; end(): void } | undefined;
  /** How long it may not answer; absent: half a minute. */
  readonly patience?: Patience | undefined;
  readonly logger: Logger;
  readonly clock: Clock;
}

export interface EnvoyState {
  /** `silent`: it runs and does not answer. */
  readonly phase: "starting" | "live" | "silent" | "ended" | "draining" | "stopped";
  readonly pid: number | null;
  /** How often it was started. */
  readonly starts: number;
  /** How it ended the last time, e.g. `signal SIGSEGV`; null: it never did. */
  readonly lastEnd: string | null;
}

/** Keeps one Envoy running until `stop`: starts it, joins its log to ours, starts it again when it ends or answers no more. */
export class EnvoySupervisor {
  readonly #options: SupervisorOptions;
  readonly #admin: EnvoyAdmin;
  readonly #backoff = new Backoff();
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #phase: EnvoyState["phase"] = "stopped";
  #starts = 0;
  #lastEnd: string | null = null;
  /** It is being killed for its silence. */
  #isLost = false;
  readonly #listeners = new Set<() => void>();
  #cancelStart: () => void = () => {};
  /** It takes longer than starts do. */
  #isLate = false;
  #cancelLate: () => void = () => {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#admin = new EnvoyAdmin(options.directory.adminSocket);
  }

  get state(): EnvoyState {
    return {
      phase: this.#phase,
      pid: this.#child?.pid ?? null,
      starts: this.#starts,
      lastEnd: this.#lastEnd,
    };
  }

  /** Why it serves nothing just now; null: it does. */
  get down(): string | null {
    if (this.#phase === "live") return null;
    if (this.#phase === "draining" || this.#phase === "stopped") return "Envoy is stopped";
    if (this.#phase === "silent") return "Envoy does not answer";
    if (this.#lastEnd !== null) return `Envoy ended by ${this.#lastEnd}, and is started again`;
    return this.#isLate
      ? `Envoy has been starting for ${START_PATIENCE_MS / 1000} seconds`
      : "Envoy is starting";
  }

  /** The first start, which takes no longer than it may. */
  get isStarting(): boolean {
    return this.#phase === "starting" && this.#lastEnd === null && !this.#isLate;
  }

  /** What stands against it while it runs. */
  get problems(): EngineProblem[] {
    if (this.#phase !== "silent") return [];
    const message = `process ${this.#child?.pid} of Envoy runs and does not answer: it takes no configuration, and may serve nothing`;
    return [{ code: "envoy-silent", subject: "envoy//own", message }];
  }

  /** Called when `problems` have changed. Returns the function that ends it. */
  onProblems(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    const { directory, bootstrap } = this.#options;
    writeFileSync(directory.bootstrap, JSON.stringify(bootstrap), { mode: 0o600 });
    this.#spawn();
  }

  /** Resolves with true once the first configuration is in effect, false when it is not within `milliseconds`. */
  async live(milliseconds: number): Promise<boolean> {
    const end = performance.now() + milliseconds;
    while (["starting", "silent", "ended"].includes(this.#phase)) {
      if (performance.now() > end) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return this.#phase === "live";
  }

  /** Names of the listeners that take connections as they were acknowledged; empty while Envoy cannot be asked. */
  async openListeners(): Promise<ReadonlySet<string>> {
    try {
      return await this.#admin.openListeners();
    } catch {
      return new Set();
    }
  }

  /** Lets what is in flight end, for so long; accepts nothing new. Envoy is not started again from now on. */
  async drain(milliseconds: number): Promise<void> {
    this.#cancelStart();
    const running = this.#child !== null;
    const isSilent = this.#phase === "silent";
    this.#phase = running ? "draining" : "stopped";
    if (!running || milliseconds <= 0) return;
    if (isSilent) {
      this.#options.logger.warn("Envoy does not answer and cannot be drained; what is in flight is cut");
      return;
    }
    try {
      await Promise.race([drainEnvoy(this.#admin, milliseconds), this.#exited]);
    } catch (error) {
      if (this.#child === null) return;
      this.#options.logger.warn({ err: error }, "Envoy cannot be drained; what is in flight is cut");
    }
  }

  async stop(): Promise<void> {
    this.#cancelStart();
    this.#phase = "stopped";
    const child = this.#child;
    if (child === null) return;
    child.kill("SIGTERM");
    const timer = setTimeout(() => {
      this.#options.logger.warn("Envoy did not end when it was asked to; it is killed");
      child.kill("SIGKILL");
    }, LONGEST_END_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  #spawn(): void {
    const { path, directory, drainSeconds, concurrency, output, logger, clock } = this.#options;
    const { patience = patienceOf(30_000) } = this.#options;
    const startedAt = performance.now();
    this.#phase = "starting";
    this.#starts++;
    this.#cancelLate = clock.after(START_PATIENCE_MS, () => this.#beLate());
    const flags = [
      ...["-c", directory.bootstrap],
      // Several on one machine would meet in one shared memory; a crash re-reads all over xDS.
      "--disable-hot-restart",
      // A changed listener keeps its connections, with the filters that they came in by: who may come in and who is asked about it
      // would be as before for up to ten minutes. So each is told to close with the next response, not some of them by and by.
      ...["--drain-strategy", "immediate"],
      // Whoever asks nothing, or does not end, is cut then; Envoy takes no 0, which would be ten minutes.
      ...["--drain-time-s", String(Math.max(1, drainSeconds))],
      ...(concurrency === undefined ? [] : ["--concurrency", String(concurrency)]),
      // How long a line of the access log may wait.
      ...["--file-flush-interval-msec", "250"],
      ...logFlags(logger.level),
    ];
    const child = spawn(path, flags, {
      stdio: ["ignore", output === undefined ? "ignore" : "pipe", "pipe"],
      // A process group of its own: Ctrl-C reaches Credence alone, which then drains Envoy.
      detached: true,
    });
    this.#child = child;
    const release = child.pid === undefined ? () => {} : endWithUs(child.pid, logger);
    const log = joinLog(logger, () => this.#phase === "stopped");
    child.stderr?.setEncoding("utf8").on("data", log.write);
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => output?.write(piece));
    this.#exited = new Promise((resolve) => {
      const onEnd = (how: string): void => {
        if (this.#child !== child) return;
        this.#cancelLate();
        release();
        log.end();
        output?.end();
        this.#child = null;
        this.#lastEnd = this.#isLost ? "a kill, as it did not answer" : how;
        this.#isLost = false;
        this.#onEnd(performance.now() - startedAt);
        resolve();
      };
      child.once("error", (error) => onEnd(error.message));
      // With all that it has written.
      child.once("close", (code, signal) => onEnd(signal === null ? `status ${code}` : `signal ${signal}`));
    });
    logger.debug({ pid: child.pid, starts: this.#starts }, "Envoy started");
    void watchPulse(
      (timeoutMs) => this.#admin.pulse(timeoutMs),
      patience,
      {
        onLive: () => this.#enter(child, "live"),
        onSilent: () => this.#enter(child, "silent"),
        onLost: () => this.#giveUp(child),
      },
      () => this.#child !== child,
    );
  }

  #enter(child: ChildProcess, phase: "live" | "silent"): void {
    if (this.#phase === "draining" || this.#phase === "stopped") return;
    const { logger } = this.#options;
    const isBack = this.#phase === "silent";
    this.#cancelLate();
    this.#phase = phase;
    const { starts } = this.state;
    if (phase === "silent") logger.error({ pid: child.pid }, "Envoy runs and does not answer");
    else logger.info({ pid: child.pid, starts }, isBack ? "Envoy answers again" : "Envoy is live");
    for (const listener of this.#listeners) listener();
  }

  #beLate(): void {
    if (this.#phase !== "starting") return;
    this.#isLate = true;
    for (const listener of this.#listeners) listener();
  }

  #giveUp(child: ChildProcess): void {
    if (this.#phase === "draining" || this.#phase === "stopped") return;
    this.#options.logger.error({ pid: child.pid }, "Envoy has not answered for too long; it is killed");
    this.#isLost = true;
    // A process that is stopped takes no other signal.
    child.kill("SIGKILL");
  }

  #onEnd(runMs: number): void {
    const { logger, clock } = this.#options;
    if (this.#phase === "draining" || this.#phase === "stopped") {
      if (this.#phase === "draining") logger.warn({ how: this.#lastEnd }, "Envoy ended while it drained");
      return;
    }
    this.#phase = "ended";
    for (const listener of this.#listeners) listener();
    const delay = this.#backoff.after(runMs);
    logger.error(
      { how: this.#lastEnd, ranMs: Math.round(runMs), againInMs: delay },
      "Envoy ended by itself; nothing is served until it is started again",
    );
    this.#cancelStart = clock.after(delay, () => this.#spawn());
  }
}

const POLL_MS = 25;
/** Ten thousand routes take Envoy a few seconds, on a busy machine. */
const START_PATIENCE_MS = 20_000;
const LONGEST_END_MS = 5_000;
