import type { OutlierDetection } from "../../../model/cluster.ts";
import type { Clock } from "../../../telemetry/clock.ts";
import type { UpstreamHost } from "./host.ts";

/** Whose hosts they are. */
export interface OutlierOwner {
  readonly hosts: readonly UpstreamHost[];
  /** A host was ejected, or is back. */
  onEjection(host: UpstreamHost): void;
}

/**
 * Leaves out hosts that fail again and again, as Envoy's outlier detection does: after so many 5xx or gateway failures in a
 * row, for the base time multiplied by the number of ejections. What goes wrong before there is a response counts as both.
 */
export class Outliers {
  readonly #config: OutlierDetection;
  readonly #owner: OutlierOwner;
  readonly #clock: Clock;
  #cancelSweep: (() => void) | null = null;

  constructor(config: OutlierDetection, owner: OutlierOwner, clock: Clock) {
    this.#config = config;
    this.#owner = owner;
    this.#clock = clock;
  }

  onStatus(host: UpstreamHost, status: number): void {
    if (status < 500) {
      host.serverErrorsInRow = host.gatewayFailuresInRow = 0;
      return;
    }
    host.serverErrorsInRow++;
    if (status >= 502 && status <= 504) host.gatewayFailuresInRow++;
    else host.gatewayFailuresInRow = 0;
    this.#judge(host);
  }

  /** Refused, reset, timed out. */
  onFailure(host: UpstreamHost): void {
    host.serverErrorsInRow++;
    host.gatewayFailuresInRow++;
    this.#judge(host);
  }

  stop(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = null;
  }

  #judge(host: UpstreamHost): void {
    const { consecutive5xx = Number.POSITIVE_INFINITY } = this.#config;
    const { consecutiveGatewayFailures = Number.POSITIVE_INFINITY } = this.#config;
    if (host.serverErrorsInRow < consecutive5xx && host.gatewayFailuresInRow < consecutiveGatewayFailures)
      return;
    host.serverErrorsInRow = host.gatewayFailuresInRow = 0;
    if (!host.ejected && !host.gone && this.#mayEject()) this.#eject(host);
  }

  /** The first goes whatever the percentage, the last one never. */
  #mayEject(): boolean {
    const { hosts } = this.#owner;
    const ejected = hosts.filter((host) => host.ejected).length;
    if (ejected + 1 >= hosts.length) return false;
    return ejected === 0 || (ejected * 100) / hosts.length < this.#config.maxEjectionPercent;
  }

  #eject(host: UpstreamHost): void {
    const { baseEjectionMs, intervalMs } = this.#config;
    host.ejected = true;
    host.ejections++;
    const longest = Math.max(baseEjectionMs, LONGEST_EJECTION_MS);
    host.ejectedUntil = this.#clock.now() + Math.min(baseEjectionMs * host.ejections, longest);
    this.#cancelSweep ??= this.#clock.after(intervalMs, () => this.#sweep());
    this.#owner.onEjection(host);
  }

  /** Hosts whose time is over are back; a quiet interval takes one off what the next ejection is multiplied by. */
  #sweep(): void {
    const now = this.#clock.now();
    let remembered = false;
    for (const host of this.#owner.hosts) {
      if (host.ejected && now >= host.ejectedUntil) {
        host.ejected = false;
        this.#owner.onEjection(host);
      } else if (!host.ejected && host.ejections > 0) host.ejections--;
      remembered ||= host.ejections > 0;
    }
    this.#cancelSweep = remembered ? this.#clock.after(this.#config.intervalMs, () => this.#sweep()) : null;
  }
}

/** Envoy's `max_ejection_time`. */
const LONGEST_EJECTION_MS = 300_000;
