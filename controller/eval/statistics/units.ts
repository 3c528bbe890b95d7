import type { PairedUnit } from "./types.ts";

/** Independent units in an order that does not depend on the order of the cases: summed gains and numbers of cases. */
export interface Units {
  readonly sums: Float64Array;
  readonly weights: Float64Array;
}

/** One unit a cluster; a case without a cluster is one by itself. @param sign -1 where lower is better */
export function toUnits(cases: readonly PairedUnit[], sign: 1 | -1): Units {
  const members = new Map<string, number[]>();
  const alone: number[] = [];
  for (const { cluster, base, head } of cases) {
    const gain = sign * (head - base);
    if (cluster === undefined) alone.push(gain);
    else if (members.has(cluster)) members.get(cluster)!.push(gain);
    else members.set(cluster, [gain]);
  }
  const clusters = [...members.values()];
  const sums = [...clusters.map((gains) => sumAscending(Float64Array.from(gains).sort())), ...alone];
  const weights = [...clusters.map((gains) => gains.length), ...alone.map(() => 1)];
  return ordered({ sums: Float64Array.from(sums), weights: Float64Array.from(weights) });
}

/** The same units with gains and losses exchanged. */
export function mirror({ sums, weights }: Units): Units {
  return ordered({ sums: sums.map((sum) => 0 - sum), weights });
}

/** Lexicographic order of two sets of units. */
export function compareUnits(a: Units, b: Units): number {
  for (let i = 0; i < a.sums.length; i++) {
    const difference = a.sums[i]! - b.sums[i]! || a.weights[i]! - b.weights[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Sum of ascending values, smallest magnitudes first and by sign, so that negated values sum to exactly the negative. */
export function sumAscending(values: Float64Array): number {
  let positive = 0;
  let negative = 0;
  for (let i = 0; i < values.length; i++) {
    positive += Math.max(values[i]!, 0);
    negative += Math.min(values[values.length - 1 - i]!, 0);
  }
  return positive + negative;
}

function ordered({ sums, weights }: Units): Units {
  if (weights.every((weight) => weight === 1)) return { sums: sums.slice().sort(), weights };
  const order = Uint32Array.from(sums.keys()).sort(
    (a, b) => sums[a]! - sums[b]! || weights[a]! - weights[b]!,
  );
  return {
    sums: Float64Array.from(order, (index) => sums[index]!),
    weights: Float64Array.from(order, (index) => weights[index]!),
  };
}
