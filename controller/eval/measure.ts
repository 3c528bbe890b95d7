import { formatMoney, type Money, toNumber } from "./cost.ts";
import type { GradeResult } from "./graders/index.ts";
import type { TokenUsage } from "./model/types.ts";
import type { CaseSide, SideResult } from "./result.ts";

/** One repeat of one case on one side, as far as the result needs it. */
export interface Observation {
  readonly pass: boolean;
  readonly score: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly output?: string;
  readonly latencyMs?: number;
  /** Undefined when unknown; 0 for a call that was refused. */
  readonly cost?: Money | undefined;
  readonly usage?: TokenUsage | undefined;
  readonly saved?: boolean;
  readonly error?: { readonly code: string; readonly message: string };
  readonly failed: readonly Pick<GradeResult["results"][number], "type" | "metric" | "reason">[];
}

/** A case on one side: means over its repeats. The gates compare these. */
export interface CaseMeasure {
  readonly passRate: number;
  readonly score: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Absent when no repeat was answered. */
  readonly latencyMs?: number;
  /** US dollars a repeat; absent when unknown. */
  readonly cost?: number;
}

const MAX_OUTPUT = 2_000;
/** Of a failing answer, when the result is full. */
const MIN_OUTPUT = 200;
const MAX_REASON = 300;
const MAX_FAILED = 8;

export function measureCase(observations: readonly Observation[]): CaseMeasure {
  const latencies = observations.flatMap(({ latencyMs }) => latencyMs ?? []);
  const costs = observations.map(({ cost }) => cost);
  const names = new Set(observations.flatMap(({ metrics }) => Object.keys(metrics)));
  return {
    passRate: mean(observations.map(({ pass }) => Number(pass))),
    score: mean(observations.map(({ score }) => score)),
    metrics: Object.fromEntries(
      [...names].map((name) => [name, mean(observations.flatMap(({ metrics }) => metrics[name] ?? []))]),
    ),
    ...(latencies.length > 0 && { latencyMs: mean(latencies) }),
    ...(costs.every((cost) => cost !== undefined) && { cost: mean(costs.map(toNumber)) }),
  };
}

/** What a report shows of a case on one side. */
export function describeCase(
  measure: CaseMeasure,
  observations: readonly Observation[],
  keepOutput: (characters: number) => boolean,
): CaseSide {
  const shown = observations.find(({ pass }) => !pass) ?? observations[0]!;
  const output = shown.output === undefined ? undefined : keptOutput(shown.output, shown.pass, keepOutput);
  const pass = measure.passRate > 0.5;
  const failed = shown.failed.slice(0, MAX_FAILED).map(({ type, metric, reason = "" }) => ({
    type,
    ...(metric !== undefined && { metric }),
    reason: cut(reason, MAX_REASON),
  }));
  return {
    pass,
    passRate: measure.passRate,
    score: measure.score,
    ...(output !== undefined && { output }),
    ...(measure.latencyMs !== undefined && { latencyMs: measure.latencyMs }),
    ...(measure.cost !== undefined && { cost: measure.cost }),
    ...(shown.error && { error: shown.error }),
    ...(failed.length > 0 && { failed }),
  };
}

/** What does not fit any more: nothing of a passing answer, the beginning of a failing one. */
function keptOutput(
  text: string,
  pass: boolean,
  keepOutput: (characters: number) => boolean,
): string | undefined {
  const output = cut(text, MAX_OUTPUT);
  if (keepOutput(output.length)) return output;
  return pass ? undefined : cut(text, MIN_OUTPUT);
}

/** Sums over all cases of a side. */
export class SideTotals {
  #cases = 0;
  #passRates = 0;
  #scores = 0;
  #cost: Money = 0n;
  #unknown = 0;
  #prompt = 0;
  #completion = 0;
  #saved = 0;
  readonly #latencies: number[] = [];

  add(measure: CaseMeasure, observations: readonly Observation[]): void {
    this.#cases++;
    this.#passRates += measure.passRate;
    this.#scores += measure.score;
    for (const { cost, usage, latencyMs, saved } of observations) {
      if (cost === undefined) this.#unknown++;
      else this.#cost += cost;
      this.#prompt += usage?.promptTokens ?? 0;
      this.#completion += usage?.completionTokens ?? 0;
      if (latencyMs !== undefined) this.#latencies.push(latencyMs);
      if (saved) this.#saved++;
    }
  }

  result(): Omit<SideResult, "prompt" | "model"> {
    const sorted = Float64Array.from(this.#latencies).sort();
    const known = this.#unknown === 0;
    return {
      cases: this.#cases,
      passRate: this.#cases === 0 ? 0 : this.#passRates / this.#cases,
      score: this.#cases === 0 ? 0 : this.#scores / this.#cases,
      ...(sorted.length > 0 && {
        latency: { p50: quantile(sorted, 0.5), p95: quantile(sorted, 0.95), mean: mean([...sorted]) },
      }),
      cost: {
        ...(known && {
          total: formatMoney(this.#cost),
          perCase: toNumber(this.#cost) / Math.max(1, this.#cases),
        }),
        unknown: this.#unknown,
      },
      tokens: { prompt: this.#prompt, completion: this.#completion },
      saved: this.#saved,
    };
  }
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The smallest value that at least this part of all does not exceed. */
function quantile(sorted: Float64Array, part: number): number {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)]!;
}

function cut(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}
