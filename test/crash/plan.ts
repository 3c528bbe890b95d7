import { execFileSync } from "node:child_process";
import type { KillPoint, Phase } from "./kill-switch.ts";

const PHASES: readonly Phase[] = ["before", "after"];

/** The first write of each site and, where there are more, the last; before and after each. */
export function killPoints(sites: ReadonlyMap<string, number>): KillPoint[] {
  return [...sites]
    .sort()
    .flatMap(([site, count]) =>
      [...new Set([1, count])].flatMap((nth) => PHASES.map((phase) => ({ site, nth, phase }))),
    );
}

/** All of them, so many together, and never two of one site: one would come in the way of the other. */
export function groups(points: readonly KillPoint[], size: number): KillPoint[][] {
  const count = Math.ceil(points.length / size);
  const found: KillPoint[][] = Array.from({ length: count }, () => []);
  for (const point of points) {
    const open = found
      .filter((group) => !group.some(({ site }) => site === point.site))
      .toSorted((a, b) => a.length - b.length);
    const [smallest] = open;
    if (smallest) smallest.push(point);
    else found.push([point]);
  }
  return found;
}

/**
 * Some of them, by seed: neither two of one site, nor by chance all of one side (API server, forge, store). The seed
 * also says which side comes first: where there are more sides than points, each has its turn.
 * The generator is Park and Miller's (1988).
 */
export function sample(points: readonly KillPoint[], size: number, seed: number): KillPoint[] {
  let state = (seed % 2_147_483_646) + 1;
  const next = (below: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  const left = [...points];
  const chosen: KillPoint[] = [];
  const sides = [...new Set(points.map(sideOf))];
  const first = next(sides.length || 1);
  while (chosen.length < size && left.length > 0) {
    const side = sides[(first + chosen.length) % sides.length];
    const candidates = left.filter((point) => sideOf(point) === side);
    const [pick] = (candidates.length > 0 ? candidates : left).splice(
      next(candidates.length || left.length),
      1,
    );
    if (!pick) break;
    chosen.push(pick);
    for (let index = left.length - 1; index >= 0; index--)
      if (left[index]?.site === pick.site) left.splice(index, 1);
  }
  return chosen;
}

const sideOf = ({ site }: KillPoint): string => site.split(" ", 1)[0] ?? site;

/** SLIPWAY_CRASH_SEED, or the commit: each commit tries others, and the same commit the same ones. */
export function seedOf(env: NodeJS.ProcessEnv): number {
  if (env.SLIPWAY_CRASH_SEED) return Number(env.SLIPWAY_CRASH_SEED);
  try {
    const commit = execFileSync("git", ["rev-parse", "HEAD"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return Number.parseInt(commit.slice(0, 8), 16);
  } catch {
    return 1;
  }
}

/** Site, number of writes, and whether it is killed, one a line. */
export function tableOf(sites: ReadonlyMap<string, number>, points: readonly KillPoint[]): string {
  const width = Math.max(...[...sites.keys()].map(({ length }) => length));
  const lines = [...sites].sort().map(([site, count]) => {
    const kills = points
      .filter((point) => point.site === site)
      .map(({ nth, phase }) => `${nth}:${phase}`)
      .join(" ");
    return `  ${site.padEnd(width)}  ${String(count).padStart(4)}  ${kills}`;
  });
  return [`  ${"site".padEnd(width)}  writes  killed at`, ...lines].join("\n");
}
