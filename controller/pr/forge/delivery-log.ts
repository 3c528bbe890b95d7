/** Remembers the last deliveries, so that one sent twice is done once. Bounded: the oldest is forgotten. */
export class DeliveryLog {
  readonly #seen = new Set<string>();
  readonly #capacity: number;

  constructor(capacity: number = 4096) {
    this.#capacity = capacity;
  }

  /** True when it is new; it is remembered then. Seeing one again makes it the youngest. */
  add(id: string): boolean {
    const isNew = !this.#seen.delete(id);
    this.#seen.add(id);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= this.#capacity) break;
      this.#seen.delete(oldest);
    }
    return isNew;
  }

  /** For a delivery that could not be taken after all: the forge may send it again. */
  forget(id: string): void {
    this.#seen.delete(id);
  }
}
