import type { GateReport } from "../eval/result.ts";

const RATE = new Set(["pass-rate"]);

/** Whether a metric is a share, shown in percent and in percentage points. */
const isShare = (metric: string) => RATE.has(metric);

/** A value of a metric with its unit; `–` where there is none. */
export function value(metric: string, amount: number | undefined): string {
  if (amount === undefined) return "–";
  if (isShare(metric)) return `${(amount * 100).toFixed(1)} %`;
  if (metric.startsWith("latency")) return milliseconds(amount);
  if (metric === "cost") return `$${amount.toPrecision(3)}`;
  return amount.toFixed(3);
}

/** A difference of a metric, with its sign. */
export function difference(metric: string, amount: number | undefined): string {
  if (amount === undefined) return "–";
  const sign = amount > 0 ? "+" : amount < 0 ? "−" : "±";
  const size = Math.abs(amount);
  if (isShare(metric)) return `${sign}${(size * 100).toFixed(1)}`;
  if (metric.startsWith("latency")) return `${sign}${milliseconds(size)}`;
  if (metric === "cost") return `${sign}$${size.toPrecision(3)}`;
  return `${sign}${size.toFixed(3)}`;
}

/** `−33.1 … −19.0` */
export function interval(gate: Pick<GateReport, "metric" | "lower" | "upper">): string {
  if (gate.lower === undefined || gate.upper === undefined) return "–";
  return `${difference(gate.metric, gate.lower)} … ${difference(gate.metric, gate.upper)}`;
}

export function milliseconds(ms: number): string {
  return ms >= 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;
