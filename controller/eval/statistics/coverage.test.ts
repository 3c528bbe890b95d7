import { describe, expect, it } from "vitest";
import { comparePaired } from "./compare.ts";
import { Xoshiro128 } from "./random.ts";
import { tango } from "./tango.ts";
import type { GateSpec, PairedUnit } from "./types.ts";

/**
 * How often a limit is on the wrong side of the true difference. The nominal rate is 0.05 on each side; 0.07 is
 * allowed, because no interval for discrete data is exact everywhere without being far too wide elsewhere. Tango's
 * error is a saw-tooth in the true rates like that of every score interval: it passes 0.07 at single points off 0.
 */
const ALLOWED = 0.07;
const TANGO_ALLOWED = 0.08;
const REPLICATES = 2000;

describe("Tango's interval, by summing over every possible table", () => {
  const rates = [0.02, 0.05, 0.1, 0.2, 0.35, 0.5].flatMap((p) =>
    [0, 0.25, 0.5, 0.75, 1].map((share) => ({ gain: p * share, loss: p * (1 - share) })),
  );

  it.each([8, 12, 20, 35, 50])("%i cases", (n) => {
    let total = 0;
    for (const { gain, loss } of rates) {
      const { above, below } = errorRates(n, gain, loss);
      const allowed = gain === loss ? ALLOWED : TANGO_ALLOWED;
      expect(above, `lower limit at ${gain}, ${loss}`).toBeLessThanOrEqual(allowed);
      expect(below, `upper limit at ${gain}, ${loss}`).toBeLessThanOrEqual(allowed);
      total += above + below;
    }
    expect(total / (2 * rates.length)).toBeLessThanOrEqual(0.05);
  });

  function errorRates(n: number, gain: number, loss: number): { above: number; below: number } {
    const same = 1 - gain - loss;
    let above = 0;
    let below = 0;
    for (let g = 0; g <= n; g++) {
      for (let l = 0; g + l <= n; l++) {
        const { lower, upper } = tango(g, l, n, 0.05);
        const ways = Math.exp(logFactorial(n) - logFactorial(g) - logFactorial(l) - logFactorial(n - g - l));
        const chance = ways * gain ** g * loss ** l * same ** (n - g - l);
        if (lower > gain - loss + 1e-9) above += chance;
        if (upper < gain - loss - 1e-9) below += chance;
      }
    }
    return { above, below };
  }
});

describe("the resampled interval, by seeded simulation", () => {
  const graded: GateSpec = {
    margin: 0,
    higherIsBetter: true,
    binary: false,
    repeats: 1,
    bounds: [0, 1],
    seed: 11,
    resamples: 999,
  };
  type Model = (uniform: () => number) => PairedUnit[];

  /** Three 0/1 repeats of each case on each side; each case has its own rates. */
  const repeats =
    (n: number, base: number, head: number): Model =>
    (uniform) =>
      Array.from({ length: n }, (_, i) => {
        const ease = uniform() < 0.5 ? 1 : 0.4;
        const mean = (rate: number) => [0, 1, 2].filter(() => uniform() < rate * ease).length / 3;
        return { id: `${i}`, base: mean(base), head: mean(head) };
      });
  /** A few cases that the head always fails, all others equal: the most skewed that differences can be. */
  const rareLoss =
    (n: number, rate: number): Model =>
    (uniform) =>
      Array.from({ length: n }, (_, i) => ({ id: `${i}`, base: 1, head: uniform() < rate ? 0 : 1 }));
  /** Clusters of one to seven binary cases that succeed or fail mostly together. */
  const clusters =
    (count: number, base: number, head: number): Model =>
    (uniform) =>
      Array.from({ length: count }, (_, c) => {
        const size = 1 + Math.floor(uniform() * 7);
        const [b, h] = [uniform() < base ? 0.9 : 0.1, uniform() < head ? 0.9 : 0.1];
        const bit = (rate: number) => (uniform() < rate ? 1 : 0);
        return Array.from({ length: size }, (_, i) => ({
          id: `${c}-${i}`,
          cluster: `${c}`,
          base: bit(b),
          head: bit(h),
        }));
      }).flat();
  /** Latencies with a long tail; the head takes `factor` times as long. */
  const slow =
    (n: number, factor: number): Model =>
    (uniform) => {
      const latency = () =>
        Math.exp(0.5 * Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
      return Array.from({ length: n }, (_, i) => {
        const own = latency();
        return { id: `${i}`, base: own * latency(), head: own * latency() * factor };
      });
    };
  const mean = Math.exp(0.25); // of the product of two of those

  it.each<[string, Model, number, GateSpec]>([
    ["8 cases, no difference", repeats(8, 0.7, 0.7), 0, graded],
    ["8 cases, a loss", repeats(8, 0.9, 0.5), -0.28, graded],
    ["20 cases, nearly always right", repeats(20, 0.98, 0.98), 0, graded],
    ["50 cases, a loss", repeats(50, 0.9, 0.8), -0.07, graded],
    ["8 cases, rare loss", rareLoss(8, 0.1), -0.1, graded],
    ["20 cases, rare loss", rareLoss(20, 0.05), -0.05, graded],
    ["50 cases, rare loss", rareLoss(50, 0.1), -0.1, graded],
    ["8 clusters, no difference", clusters(8, 0.7, 0.7), 0, { ...graded, binary: true }],
    ["20 clusters, a loss", clusters(20, 0.8, 0.6), -0.16, { ...graded, binary: true }],
    ["50 clusters, a gain", clusters(50, 0.5, 0.6), 0.08, { ...graded, binary: true }],
    ["8 latencies", slow(8, 1), 0, { ...graded, bounds: undefined, higherIsBetter: false }],
    [
      "30 latencies, 20 % slower",
      slow(30, 1.2),
      0.2 * mean,
      { ...graded, bounds: undefined, higherIsBetter: false },
    ],
  ] as const)("%s", (_, model, truth, { bounds, ...spec }) => {
    const uniform = uniforms(99);
    let above = 0;
    let below = 0;
    for (let replicate = 0; replicate < REPLICATES; replicate++) {
      const { lower, upper } = comparePaired(model(uniform), {
        ...spec,
        seed: replicate,
        ...(bounds ? { bounds } : {}),
      });
      if (lower > truth + 1e-9) above++;
      if (upper < truth - 1e-9) below++;
    }
    expect(above / REPLICATES).toBeLessThanOrEqual(ALLOWED);
    expect(below / REPLICATES).toBeLessThanOrEqual(ALLOWED);
  });
});

function uniforms(seed: number): () => number {
  const generator = Xoshiro128.fromSeed(seed);
  const words = new Int32Array(4096);
  let next = words.length;
  return () => {
    if (next === words.length) {
      generator.fill(words);
      next = 0;
    }
    return (words[next++]! >>> 0) / 2 ** 32;
  };
}

function logFactorial(n: number): number {
  let total = 0;
  for (let i = 2; i <= n; i++) total += Math.log(i);
  return total;
}
