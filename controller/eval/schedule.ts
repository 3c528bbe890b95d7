/** Lets a number of holders in at once; the others wait in order. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  #head = 0;

  constructor(size: number) {
    this.#free = size;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  #release(): void {
    const next = this.#waiting[this.#head];
    if (!next) {
      this.#free++;
      return;
    }
    this.#head++;
    // Shifting one by one would be quadratic; dropping the used part now and then is not.
    if (this.#head > 1_024) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    next();
  }
}

/**
 * Works through items with at most `limit` open at a time, taking each from the iterable only when its turn comes: a
 * long list needs no more memory than a short one. The first rejection stops the taking and is thrown when what is open
 * has ended.
 */
export async function forEachBounded<T>(
  items: Iterable<T>,
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done && !failure; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, lane));
  if (failure) throw failure.error;
}
