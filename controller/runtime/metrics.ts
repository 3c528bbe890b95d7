import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { RequestInfo } from "../kube/client.ts";

/** How many objects of a kind have this readiness. */
export interface ReadinessCount {
  readonly kind: string;
  readonly status: "True" | "False" | "Unknown";
  readonly count: number;
}

/** What is asked for when the metrics are read. */
export interface MetricSources {
  readonly queues: () => Iterable<{ readonly name: string; readonly depth: number }>;
  readonly effectsRunning: () => number;
  readonly readiness: () => Iterable<ReadinessCount>;
  readonly leading: () => boolean;
}

/**
 * The controller's metrics, in a registry of their own. No label holds an object's name: a cluster with
 * thousands of objects has the same number of series as an empty one.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly #reconciles: Counter;
  readonly #durations: Histogram;
  readonly #requests: Counter;
  readonly #requestDurations: Histogram;

  constructor(options: { readonly processMetrics?: boolean } = {}) {
    const registers = [this.registry];
    if (options.processMetrics ?? true) collectDefaultMetrics({ register: this.registry });
    this.#reconciles = new Counter({
      name: "slipway_reconcile_total",
      help: "Reconciles by controller and result.",
      labelNames: ["kind", "result"],
      registers,
    });
    this.#durations = new Histogram({
      name: "slipway_reconcile_duration_seconds",
      help: "How long reconciles take; effects run beside them and are not in it.",
      labelNames: ["kind"],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers,
    });
    this.#requests = new Counter({
      name: "slipway_kube_requests_total",
      help: "Requests to the Kubernetes API, retries included; code 0 had no answer.",
      labelNames: ["verb", "kind", "code"],
      registers,
    });
    this.#requestDurations = new Histogram({
      name: "slipway_kube_request_duration_seconds",
      help: "How long requests to the Kubernetes API take, by verb.",
      labelNames: ["verb"],
      buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
      registers,
    });
  }

  /** Connects what is measured when it is read; once. */
  observe(sources: MetricSources): void {
    const registers = [this.registry];
    new Gauge({
      name: "slipway_queue_depth",
      help: "Keys that wait for a worker.",
      labelNames: ["kind"],
      registers,
      collect() {
        for (const { name, depth } of sources.queues()) this.set({ kind: name }, depth);
      },
    });
    new Gauge({
      name: "slipway_effects_running",
      help: "Effects that run or wait for room.",
      registers,
      collect() {
        this.set(sources.effectsRunning());
      },
    });
    new Gauge({
      name: "slipway_resource_ready",
      help: "Objects by kind and the status of their Ready condition.",
      labelNames: ["kind", "status"],
      registers,
      collect() {
        this.reset();
        for (const { kind, status, count } of sources.readiness()) this.set({ kind, status }, count);
      },
    });
    new Gauge({
      name: "slipway_leader",
      help: "1 while this process leads.",
      registers,
      collect() {
        this.set(sources.leading() ? 1 : 0);
      },
    });
  }

  observeReconcile(kind: string, result: string, seconds: number): void {
    this.#reconciles.inc({ kind, result });
    this.#durations.observe({ kind }, seconds);
  }

  /** For the Kubernetes client's `onRequest`. */
  readonly observeRequest = ({ verb, kind, code, durationMs }: RequestInfo): void => {
    this.#requests.inc({ verb, kind, code });
    // A watch lasts as long as it lasts.
    if (verb !== "watch" && verb !== "stream") this.#requestDurations.observe({ verb }, durationMs / 1000);
  };

  text(): Promise<string> {
    return this.registry.metrics();
  }
}
