/**
 * xoshiro128** 1.1 (Blackman & Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47(4), 2021;
 * https://prng.di.unimi.it/xoshiro128starstar.c), seeded by SplitMix64 as its authors advise. Not for secrets.
 */
export class Xoshiro128 {
  readonly #state: Int32Array;

  /** @param state four 32-bit words, not all zero */
  constructor(state: ArrayLike<number>) {
    this.#state = Int32Array.from(state);
  }

  /** @param seed a non-negative safe integer */
  static fromSeed(seed: number): Xoshiro128 {
    const words: number[] = [];
    let counter = BigInt(seed);
    for (let i = 0; i < 2; i++) {
      counter = BigInt.asUintN(64, counter + 0x9e3779b97f4a7c15n);
      let mixed = counter;
      mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
      mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
      mixed ^= mixed >> 31n;
      words.push(Number(mixed & 0xffffffffn), Number(mixed >> 32n));
    }
    return new Xoshiro128(words);
  }

  /** Fills `out` with 32-bit words. In bulk, because state in locals is several times faster than in fields. */
  fill(out: Int32Array): void {
    let [a, b, c, d] = this.#state as unknown as [number, number, number, number];
    for (let i = 0; i < out.length; i++) {
      const scaled = Math.imul(b, 5);
      out[i] = Math.imul((scaled << 7) | (scaled >>> 25), 9);
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = (d << 11) | (d >>> 21);
    }
    this.#state.set([a, b, c, d]);
  }
}
