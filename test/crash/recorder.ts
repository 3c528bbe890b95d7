import { type KillPoint, KillSwitch } from "./kill-switch.ts";
import type { ProxyHooks, Written } from "./proxy.ts";
import { FORGE_POLL } from "./sites.ts";

/** What one run wrote through the proxies, and the kills that are planned for it. */
export class Recorder implements ProxyHooks {
  readonly #switch: KillSwitch;
  readonly #kill: () => void;
  /** Every request, by what it is. */
  readonly labels = new Map<string, number>();
  /** Writes that were answered. */
  readonly writes: Written[] = [];
  #polls = 0;
  #lastWrite = performance.now();

  /** @param kill ends the controller at once */
  constructor(points: readonly KillPoint[], kill: () => void) {
    this.#switch = new KillSwitch(points);
    this.#kill = kill;
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#switch.counts;
  }

  /** Writes to the forge that it answered. */
  get forgeWrites(): readonly Written[] {
    return this.writes.filter(({ site }) => site.startsWith("forge "));
  }

  /** Nothing was written for a second and two looks at the forge, so every queue had its turn. */
  get quiet(): boolean {
    return this.#polls >= 2 && this.silentMs > 1_000;
  }

  /** Since the last write. */
  get silentMs(): number {
    return performance.now() - this.#lastWrite;
  }

  /** Something happened, so there may be more to come. */
  stir(): void {
    this.#polls = 0;
    this.#lastWrite = performance.now();
  }

  enter(site: string) {
    this.stir();
    return this.#switch.enter(site);
  }

  kill(): void {
    this.stir();
    this.#kill();
  }

  written(written: Written): void {
    this.stir();
    this.writes.push(written);
  }

  count(label: string): void {
    this.labels.set(label, (this.labels.get(label) ?? 0) + 1);
    if (label === FORGE_POLL) this.#polls++;
  }
}
