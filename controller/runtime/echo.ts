/**
 * Tells the watch events that our own status writes cause from those of others. The event may come before the
 * answer to the write: what comes meanwhile is held, and judged when the answer is there.
 */
export class EchoFilter {
  readonly #inFlight = new Map<string, (string | undefined)[]>();
  readonly #own = new Map<string, string>();

  begin(id: string): void {
    this.#inFlight.set(id, []);
  }

  /** Whether the event is nothing new, or held until `end`. */
  isEcho(id: string, resourceVersion: string | undefined): boolean {
    const held = this.#inFlight.get(id);
    if (held) {
      held.push(resourceVersion);
      return true;
    }
    return resourceVersion !== undefined && this.#own.get(id) === resourceVersion;
  }

  /**
   * @param resourceVersion what our write made; undefined when it failed
   * @returns whether a held event was somebody else's
   */
  end(id: string, resourceVersion: string | undefined): boolean {
    const held = this.#inFlight.get(id) ?? [];
    this.#inFlight.delete(id);
    if (resourceVersion !== undefined) this.#own.set(id, resourceVersion);
    return held.some((version) => version === undefined || version !== resourceVersion);
  }

  forget(id: string): void {
    this.#own.delete(id);
  }
}
