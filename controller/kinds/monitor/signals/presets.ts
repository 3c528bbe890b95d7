import type { PrometheusMetric, PrometheusRuntime } from "../../../../schemas/monitor.ts";

/** What a runtime calls things. Histograms are in seconds; whatever is missing, the runtime does not export. */
interface Names {
  readonly latency?: string;
  readonly firstToken?: string;
  /** A counter of generated tokens. */
  readonly tokens?: string;
  readonly queue?: string;
  /** Counters of failed and of all requests, each with matchers of its own. */
  readonly errors?: readonly [failed: Series, all: Series];
}

interface Series {
  readonly name: string;
  readonly matchers?: readonly string[];
}

const NAMES: Readonly<Record<PrometheusRuntime, Names>> = {
  // https://docs.vllm.ai/en/latest/usage/metrics.html; http_requests_total comes from its HTTP server.
  VLLM: {
    latency: "vllm:e2e_request_latency_seconds",
    firstToken: "vllm:time_to_first_token_seconds",
    tokens: "vllm:generation_tokens_total",
    queue: "vllm:num_requests_waiting",
    errors: [
      { name: "http_requests_total", matchers: ['handler=~"/v1/.+"', 'status="5xx"'] },
      { name: "http_requests_total", matchers: ['handler=~"/v1/.+"'] },
    ],
  },
  // https://docs.sglang.io/references/production_metrics.html, with --enable-metrics
  SGLang: {
    latency: "sglang:e2e_request_latency_seconds",
    firstToken: "sglang:time_to_first_token_seconds",
    tokens: "sglang:generation_tokens_total",
    queue: "sglang:num_queue_reqs",
    errors: [{ name: "sglang:num_aborted_requests_total" }, { name: "sglang:num_requests_total" }],
  },
  // https://huggingface.co/docs/text-generation-inference/reference/metrics
  TGI: {
    latency: "tgi_request_duration",
    tokens: "tgi_request_generated_tokens_sum",
    queue: "tgi_queue_size",
    errors: [{ name: "tgi_request_failure" }, { name: "tgi_request_count" }],
  },
  // https://github.com/ggml-org/llama.cpp/tree/master/tools/server, with --metrics
  LlamaCpp: {
    tokens: "llamacpp:tokens_predicted_total",
    queue: "llamacpp:requests_deferred",
  },
  // workers/trainer/README.md
  Transformers: {
    latency: "slipway_serve_request_duration_seconds",
    firstToken: "slipway_serve_time_to_first_token_seconds",
    tokens: "slipway_serve_generated_tokens_total",
    queue: "slipway_serve_requests_waiting",
    errors: [
      { name: "slipway_serve_requests_total", matchers: ['status=~"5.."'] },
      { name: "slipway_serve_requests_total" },
    ],
  },
};

const QUANTILES = {
  latencyP50: ["latency", 0.5],
  latencyP95: ["latency", 0.95],
  latencyP99: ["latency", 0.99],
  timeToFirstTokenP50: ["firstToken", 0.5],
  timeToFirstTokenP95: ["firstToken", 0.95],
} as const;

/**
 * The query for a figure of a runtime: milliseconds for times, a share for errorRate, tokens a second, requests that
 * wait.
 * @param window a PromQL duration
 * @param matchers that select the target's series, as `label="value"`
 * @returns undefined where the runtime does not export it
 */
export function presetQuery(
  metric: PrometheusMetric,
  runtime: PrometheusRuntime,
  window: string,
  matchers: readonly string[],
): string | undefined {
  const names = NAMES[runtime];
  const select = ({ name, matchers: own = [] }: Series) => {
    const all = [...own, ...matchers];
    return all.length === 0 ? name : `${name}{${all.join(",")}}`;
  };
  const rate = (series: Series) => `sum(rate(${select(series)}[${window}]))`;
  switch (metric) {
    case "tokensPerSecond":
      return names.tokens && rate({ name: names.tokens });
    case "queue":
      return names.queue && `sum(${select({ name: names.queue })})`;
    case "errorRate": {
      if (!names.errors) return undefined;
      const [failed, all] = names.errors;
      // A counter that never failed may not be there yet.
      return `(${rate(failed)} or vector(0)) / ${rate(all)}`;
    }
    default: {
      const [series, quantile] = QUANTILES[metric];
      const name = names[series];
      if (name === undefined) return undefined;
      const buckets = select({ name: `${name}_bucket` });
      return `1000 * histogram_quantile(${quantile}, sum by (le) (rate(${buckets}[${window}])))`;
    }
  }
}
