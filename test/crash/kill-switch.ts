/** `before`: the write never happens. `after`: it has happened, and its answer is never seen. */
export type Phase = "before" | "after";

export interface KillPoint {
  readonly site: string;
  /** The how-many-eth write at this site, from 1. */
  readonly nth: number;
  readonly phase: Phase;
}

/** `api apply EvalRun#1:before`: for titles, and for the environment of the controller under test. */
export const describePoint = ({ site, nth, phase }: KillPoint): string => `${site}#${nth}:${phase}`;

export function parsePoint(text: string): KillPoint {
  const match = /^(.+)#(\d+):(before|after)$/.exec(text);
  if (!match)
    throw new Error(`${JSON.stringify(text)} is no kill point: write SITE#N:before or SITE#N:after`);
  return { site: match[1] ?? "", nth: Number(match[2]), phase: match[3] as Phase };
}

/** Counts writes by site, and says when one to die at has come. */
export class KillSwitch {
  readonly counts: Map<string, number>;
  readonly #points: readonly KillPoint[];

  /** @param counts writes that there were before, so that no point comes twice */
  constructor(points: readonly KillPoint[], counts: ReadonlyMap<string, number> = new Map()) {
    this.#points = points;
    this.counts = new Map(counts);
  }

  /** A write is about to happen. @returns the phase in which to die, of this write */
  enter(site: string): Phase | undefined {
    const nth = (this.counts.get(site) ?? 0) + 1;
    this.counts.set(site, nth);
    return this.#points.find((point) => point.site === site && point.nth === nth)?.phase;
  }
}
