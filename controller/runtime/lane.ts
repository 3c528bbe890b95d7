/**
 * Room for so many at a time, of which one tenant gets a part: whoever waits for servers that do not answer leaves
 * room for the others. First come, first served, those passed over who have their part already.
 */
export class Lane {
  readonly #size: number;
  readonly #each: number;
  readonly #running = new Map<string, number>();
  readonly #waiting: { readonly tenant: string; readonly start: () => void }[] = [];

  /** @param each of one tenant @param size of all together */
  constructor(each: number, size: number) {
    this.#each = each;
    this.#size = size;
  }

  /** Resolves when there is room. The caller must call `release` afterwards, whatever happened. */
  acquire(tenant: string): Promise<void> {
    return new Promise((start) => {
      this.#waiting.push({ tenant, start });
      this.#next();
    });
  }

  release(tenant: string): void {
    const left = (this.#running.get(tenant) ?? 0) - 1;
    if (left > 0) this.#running.set(tenant, left);
    else this.#running.delete(tenant);
    this.#next();
  }

  #next(): void {
    const total = [...this.#running.values()].reduce((sum, count) => sum + count, 0);
    if (total >= this.#size) return;
    const at = this.#waiting.findIndex(({ tenant }) => (this.#running.get(tenant) ?? 0) < this.#each);
    const [next] = at < 0 ? [] : this.#waiting.splice(at, 1);
    if (!next) return;
    this.#running.set(next.tenant, (this.#running.get(next.tenant) ?? 0) + 1);
    next.start();
  }
}
