import { collectDefaultMetrics, type Metric, Registry } from "prom-client";

/** One number with its labels, read at the time of the scrape. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A distribution as its owner counts it: `counts` has one entry more than `bounds`, for what lies above the last. */
export interface Distribution {
  readonly labels: Readonly<Record<string, string>>;
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
  readonly sum: number;
}

/**
 * Prometheus metrics whose values are read when they are scraped: whoever counts does so in plain numbers of its own,
 * and the hot path pays an addition.
 */
export class Metrics {
  readonly #registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#registry, prefix: "credence_" });
  }

  /** Only grows. By convention the name ends in `_total`. */
  counter(name: string, help: string, read: () => Iterable<Sample>): void {
    this.#register(name, help, "counter", () => plain(name, read()));
  }

  gauge(name: string, help: string, read: () => Iterable<Sample>): void {
    this.#register(name, help, "gauge", () => plain(name, read()));
  }

  histogram(name: string, help: string, read: () => Iterable<Distribution>): void {
    this.#register(name, help, "histogram", () => {
      const values: Value[] = [];
      for (const { labels, bounds, counts, sum } of read()) {
        let below = 0;
        counts.forEach((count, index) => {
          below += count;
          const le = index < bounds.length ? String(bounds[index]) : "+Inf";
          values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: below });
        });
        values.push({ metricName: `${name}_sum`, labels: { ...labels }, value: sum });
        values.push({ metricName: `${name}_count`, labels: { ...labels }, value: below });
      }
      return values;
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #register(name: string, help: string, type: string, read: () => Value[]): void {
    // prom-client asks a registered metric for no more than this, and writes it as text with every value escaped.
    const metric = { name, help, type, get: async () => ({ name, help, type, values: read() }) };
    this.#registry.registerMetric(metric as unknown as Metric);
  }
}

interface Value {
  readonly metricName: string;
  readonly labels: Record<string, string>;
  readonly value: number;
}

function plain(metricName: string, samples: Iterable<Sample>): Value[] {
  return Array.from(samples, ({ labels, value }) => ({ metricName, labels: { ...labels }, value }));
}
