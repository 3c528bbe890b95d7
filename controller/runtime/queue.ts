import { type Clock, systemClock } from "./clock.ts";
import { controllerRateLimiter, type RateLimiter } from "./rate-limit.ts";

/**
 * client-go's work queue (util/workqueue): a key is in it at most once, is never worked on twice at a time,
 * and one that is added while it is worked on comes again afterwards.
 */
export class WorkQueue {
  readonly #clock: Clock;
  readonly #limiter: RateLimiter;
  /** Keys that need work; the order is that of `#ready`. */
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  #ready: string[] = [];
  #taken = 0;
  readonly #waiting: ((key: string | undefined) => void)[] = [];
  readonly #delayed = new Map<string, { at: number; cancel: () => void }>();
  #closed = false;

  constructor(options: { clock?: Clock; limiter?: RateLimiter } = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#limiter = options.limiter ?? controllerRateLimiter();
  }

  /** Keys that wait for a worker; not the delayed ones. */
  get depth(): number {
    return this.#ready.length - this.#taken;
  }

  get processing(): number {
    return this.#processing.size;
  }

  add(key: string): void {
    if (this.#closed || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    if (!this.#processing.has(key)) this.#offer(key);
  }

  /** Adds later; of several times for one key the earliest wins. */
  addAfter(key: string, ms: number): void {
    if (this.#closed) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.now() + ms;
    const known = this.#delayed.get(key);
    if (known && known.at <= at) return;
    known?.cancel();
    this.#delayed.set(key, { at, cancel: this.#clock.after(ms, () => this.#due(key, at)) });
  }

  /** Adds after the time that the number of the key's failures asks for. */
  addRateLimited(key: string): void {
    this.addAfter(key, this.#limiter.next(key, this.#clock.now()));
  }

  /** The key's failures are over; a delayed addition stays. */
  forget(key: string): void {
    this.#limiter.forget(key);
  }

  failures(key: string): number {
    return this.#limiter.failures(key);
  }

  /** The next key, as soon as there is one; undefined when the queue has ended. Call `done` afterwards. */
  get(): Promise<string | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    const key = this.#ready[this.#taken];
    if (key === undefined) return new Promise((resolve) => this.#waiting.push(resolve));
    // The head is moved, not the array, which is cut now and then: O(1) a key.
    if (++this.#taken > 1024) {
      this.#ready = this.#ready.slice(this.#taken);
      this.#taken = 0;
    }
    this.#begin(key);
    return Promise.resolve(key);
  }

  done(key: string): void {
    this.#processing.delete(key);
    if (this.#dirty.has(key) && !this.#closed) this.#offer(key);
  }

  /** Ends the queue: waiting and later `get` calls resolve to undefined, nothing more is added. */
  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#dirty.clear();
    this.#ready = [];
    this.#taken = 0;
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
  }

  #due(key: string, at: number): void {
    this.#delayed.delete(key);
    const left = at - this.#clock.now();
    // A delay above the timer's limit fires early.
    if (left > 1) this.addAfter(key, left);
    else this.add(key);
  }

  #offer(key: string): void {
    const worker = this.#waiting.shift();
    if (!worker) {
      this.#ready.push(key);
      return;
    }
    this.#begin(key);
    worker(key);
  }

  #begin(key: string): void {
    this.#dirty.delete(key);
    this.#processing.add(key);
  }
}
