/**
 * Upper tail of the standard normal distribution, P(Z > z), to about 1e-15 relative.
 * Series below |z| = 2 (Marsaglia 2004, J. Stat. Softw. 11(4)), Lentz's continued fraction above.
 */
export function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  if (z === Number.POSITIVE_INFINITY) return 0;
  const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
  if (z < 2) {
    let term = z;
    let sum = z;
    for (let i = 3; term > sum * 1e-17; i += 2) {
      term *= (z * z) / i;
      sum += term;
    }
    return 0.5 - density * sum;
  }
  // 1/(z + 1/(z + 2/(z + 3/(z + …)))), from the far end; 200 terms are enough from z = 2 on.
  let fraction = z;
  for (let i = 200; i > 0; i--) fraction = z + i / fraction;
  return density / fraction;
}

/** The z with P(Z > z) = `tail`, for 0 < tail < 1. Bisection: it is called a few times per comparison. */
export function normalQuantile(tail: number): number {
  if (tail > 0.5) return -normalQuantile(1 - tail);
  return solveDecreasing(0, 40, (z) => normalTail(z) - tail);
}

/** The root of a decreasing function in [low, high], to the last bit. */
export function solveDecreasing(low: number, high: number, f: (x: number) => number): number {
  let a = low;
  let b = high;
  for (;;) {
    const middle = a + (b - a) / 2;
    if (middle <= a || middle >= b) return middle;
    if (f(middle) > 0) a = middle;
    else b = middle;
  }
}
