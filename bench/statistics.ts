/**
 * The verdict on 100,000 paired cases with 10,000 sign-flips, beside the same sign-flip in numpy on the same data.
 * Prints one JSON line. Needs numpy: `python3 -m venv venv && venv/bin/pip install numpy`, then
 * `PYTHON=venv/bin/python node bench/statistics.ts [cases] [resamples]`.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { comparePaired } from "../controller/eval/statistics/index.ts";
import { Xoshiro128 } from "../controller/eval/statistics/random.ts";

const n = Number(process.argv[2] ?? 100_000);
const resamples = Number(process.argv[3] ?? 10_000);
const RUNS = 5;

const words = new Int32Array(2 * n);
Xoshiro128.fromSeed(1).fill(words);
const score = (i: number) => (words[i]! >>> 0) / 2 ** 32;
const cases = Array.from({ length: n }, (_, i) => ({ id: `case-${i}`, base: score(i), head: score(n + i) }));
const spec = {
  margin: 0.01,
  higherIsBetter: true,
  binary: false,
  repeats: 1,
  bounds: [0, 1],
  seed: 1,
  resamples,
} as const;

const ours: number[] = [];
let result = comparePaired(cases, spec);
for (let run = 0; run < RUNS; run++) {
  const start = performance.now();
  result = comparePaired(cases, spec);
  ours.push((performance.now() - start) / 1000);
}

// A BLAS kernel pinned for another machine would slow numpy down.
const { OPENBLAS_CORETYPE: _, ...env } = process.env;
const numpy = JSON.parse(
  execFileSync(
    process.env.PYTHON ?? "python3",
    [fileURLToPath(new URL("statistics.py", import.meta.url)), `${resamples}`, `${RUNS}`],
    {
      input: Buffer.from(Float64Array.from(cases, (c) => c.head - c.base).buffer),
      encoding: "utf8",
      env,
      maxBuffer: 1 << 20,
    },
  ),
) as { seconds: Record<string, number>; lower: number; upper: number; numpy: string };

const best = Math.min(...ours);
const reference = Math.min(...Object.values(numpy.seconds));
console.log(
  JSON.stringify({
    bench: "statistics",
    cases: n,
    resamples,
    seconds: best,
    numpySeconds: numpy.seconds,
    numpy: numpy.numpy,
    ratio: best / reference,
    limits: [result.lower, result.upper],
    numpyLimits: [numpy.lower, numpy.upper],
  }),
);
