/** The last few values that were used, by key: what was used longest ago is forgotten first. */
export class Recent<T> {
  readonly #values = new Map<string, T>();
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  /** The value of that key, made when it is not known. A failure is not kept. */
  async get(key: string, make: () => Promise<T>): Promise<T> {
    const value = this.#values.get(key) ?? (await make());
    this.#values.delete(key);
    this.#values.set(key, value); // last in insertion order: the most recently used
    for (const oldest of this.#values.keys()) {
      if (this.#values.size <= this.#size) break;
      this.#values.delete(oldest);
    }
    return value;
  }
}
