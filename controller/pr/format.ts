import type { GateOutcome } from "../eval/result.ts";

/** Whether a metric is a share, shown in percent and in percentage points. */
const isShare = (metric: string) => metric === "pass-rate";

const significant = (digits: number) => new Intl.NumberFormat("en", { maximumSignificantDigits: digits });
const THREE = significant(3);
const FOUR = significant(4);

/** A value of a metric with its unit; costs are those of 1,000 cases. `–` where there is none. */
export function value(metric: string, amount: number | undefined): string {
  if (amount === undefined) return "–";
  if (isShare(metric)) return `${(amount * 100).toFixed(1)} %`;
  return `${size(metric, amount)}${unitOf(metric)}`;
}

/** A difference of a metric, with its sign; points and dollars without the word. */
export function difference(metric: string, amount: number | undefined): string {
  return amount === undefined ? "–" : signed(amount, (absolute) => size(metric, absolute));
}

/** A difference with its unit in words: `−23.0 points`. */
export function points(metric: string, amount: number | undefined): string {
  return amount === undefined ? "–" : `${difference(metric, amount)}${unitOf(metric)}`;
}

/** The size of a difference with its unit, without a sign: `23.0 points`. */
export function distance(metric: string, amount: number): string {
  return `${size(metric, Math.abs(amount))}${unitOf(metric)}`;
}

const unitOf = (metric: string) => (isShare(metric) ? " points" : metric === "cost" ? " USD/1k" : "");

/** `−33.1 … −19.0` */
export function interval(gate: Pick<GateOutcome, "metric" | "lower" | "upper">): string {
  if (gate.lower === undefined || gate.upper === undefined) return "–";
  const [from, to] = [difference(gate.metric, gate.lower), difference(gate.metric, gate.upper)];
  const unit = / [^ ]+$/.exec(to)?.[0];
  return `${unit !== undefined && from.endsWith(unit) ? from.slice(0, -unit.length) : from} … ${to}`;
}

function size(metric: string, amount: number): string {
  if (isShare(metric)) return (amount * 100).toFixed(1);
  if (metric === "latency") return milliseconds(amount);
  if (metric === "cost") return THREE.format(amount * 1000);
  return Math.abs(amount) <= 1 ? amount.toFixed(3) : FOUR.format(amount);
}

export function milliseconds(ms: number): string {
  if (ms === 0) return "0 ms";
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** US dollars without the sign, which forges take for the start of a formula. */
export const dollars = (amount: number): string => `${THREE.format(amount)} USD`;

/** A change from one amount to another: `+118 ms (+29 %)`. */
export function change(base: number, head: number, show: (amount: number) => string): string {
  const absolute = signed(head - base, show);
  if (absolute.startsWith("±")) return "±0";
  if (base === 0) return absolute;
  return `${absolute} (${signed(((head - base) / base) * 100, (percent) => `${THREE.format(Number(percent.toFixed(percent < 10 ? 1 : 0)))} %`)})`;
}

/** With a sign, and `±` where nothing but zeros would be shown. */
function signed(amount: number, show: (amount: number) => string): string {
  const text = show(Math.abs(amount));
  if (!/[1-9]/.test(text)) return `±${text}`;
  return `${amount > 0 ? "+" : "−"}${text}`;
}

export const count = (n: number, noun: string): string =>
  `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
