/** Lets a number of holders in at once; the others wait in order. */
export class Semaphore {
  #free: number;
  /** Each takes the place, or says that it wants none any more. */
  readonly #waiting: (() => boolean)[] = [];
  #head = 0;

  constructor(size: number) {
    this.#free = size;
  }

  /** @throws the signal's reason when aborted before its turn */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#turn(signal);
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => reject(signal?.reason as Error);
      signal?.addEventListener("abort", leave, { once: true });
      this.#waiting.push(() => {
        signal?.removeEventListener("abort", leave);
        if (signal?.aborted) return false;
        resolve();
        return true;
      });
    });
  }

  #release(): void {
    for (let next = this.#waiting[this.#head]; next; next = this.#waiting[this.#head]) {
      this.#head++;
      // Shifting one by one would be quadratic; dropping the used part now and then is not.
      if (this.#head > 1_024) {
        this.#waiting.splice(0, this.#head);
        this.#head = 0;
      }
      if (next()) return;
    }
    this.#free++;
  }
}

const endpoints = new Map<string, { readonly places: Semaphore; users: number }>();

/**
 * Runs within the places of one endpoint, which all runs of this process share; the entry goes with its last user. A
 * changed `limit` counts from the time that nobody uses the endpoint.
 */
export async function runAtEndpoint<T>(
  key: string,
  limit: number,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const entry = endpoints.get(key) ?? { places: new Semaphore(limit), users: 0 };
  endpoints.set(key, entry);
  entry.users++;
  try {
    return await entry.places.run(work, signal);
  } finally {
    entry.users--;
    if (entry.users === 0) endpoints.delete(key);
  }
}

/** How many endpoints are in use. */
export function endpointsInUse(): number {
  return endpoints.size;
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
