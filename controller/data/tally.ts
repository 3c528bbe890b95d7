/** A row that was dropped, and why. */
export interface Dropped {
  readonly origin: string;
  /** In words. */
  readonly reason: string;
}

export interface StepCount {
  readonly name: string;
  /** Rows that came in. */
  readonly rows: number;
  readonly dropped: number;
  readonly changed: number;
  /** The first few that were dropped, each with the reason. */
  readonly samples: readonly Dropped[];
}

/** Samples of what a step dropped. */
export const SAMPLES = 5;
/** Of a reason, which may hold a name from a hostile file. */
const MAX_REASON = 300;

/** What one step did to some of the rows. */
export class Tally {
  rows = 0;
  dropped = 0;
  changed = 0;
  readonly samples: Dropped[] = [];

  drop(origin: () => string, reason: string): void {
    this.dropped++;
    if (this.samples.length < SAMPLES)
      this.samples.push({ origin: origin().slice(0, MAX_REASON), reason: reason.slice(0, MAX_REASON) });
  }

  /** Adds the rows that come after. */
  add(next: Omit<StepCount, "name">): void {
    this.rows += next.rows;
    this.dropped += next.dropped;
    this.changed += next.changed;
    for (const sample of next.samples) if (this.samples.length < SAMPLES) this.samples.push(sample);
  }

  named(name: string): StepCount {
    const { rows, dropped, changed, samples } = this;
    return { name, rows, dropped, changed, samples };
  }
}
