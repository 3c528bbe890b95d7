import { afterAll, describe, expect, it } from "vitest";
import { doubledWrites } from "./forge-writes.ts";
import { describePoint, type KillPoint, parsePoint } from "./kill-switch.ts";
import { killPoints, sample, seedOf, tableOf } from "./plan.ts";
import { NotReached, type Outcome, runScenario } from "./scenario.ts";
import { CONCURRENCY } from "./story.ts";
import { createWorld } from "./world.ts";

/*
 * The sites are not a list that somebody keeps: they are what an undisturbed run writes, so a new write is killed as
 * soon as it exists. That is why the run comes before the tests are named. SLIPWAY_CRASH_ALL=1 kills at all of them,
 * SLIPWAY_CRASH_ONLY='forge create comment#1:after' at these (separated by commas), otherwise a sample does.
 */
const world = await createWorld();
const calm = await runScenario(world);
const all = killPoints(calm.sites);
const seed = seedOf(process.env);
const { SLIPWAY_CRASH_ALL, SLIPWAY_CRASH_ONLY: only } = process.env;
const points = only
  ? only.split(",").map(parsePoint)
  : SLIPWAY_CRASH_ALL === "1"
    ? all
    : sample(all, 4, seed);
const which = points.length === all.length ? "all" : `${points.length} with SLIPWAY_CRASH_SEED=${seed}`;
console.log(`${calm.sites.size} sites, ${all.length} kills, ${which}:\n${tableOf(calm.sites, points)}`);

afterAll(() => world[Symbol.asyncDispose]());

describe("undisturbed", () => {
  it("writes each thing once and asks each question once", () => {
    expect(calm.kills).toBe(0);
    expect(doubledWrites(calm.forgeWrites)).toEqual([]);
    expect([...calm.comments.values()]).toEqual([1]);
    expect(calm.modelCalls).toBeGreaterThan(0);
    expect(calm.repeatedCalls).toBe(0);
  });

  it("passes the API server, the forge, the intent log, the cache and the blobs", () => {
    const sites = [...calm.sites.keys()];
    for (const expected of [
      "api apply PromptTemplate",
      "api apply EvalRun",
      "api delete EvalRun",
      "api create Event",
      "api patch Repository/status",
      "forge create comment",
      "forge update comment",
      "forge set status",
      "store intent/begin/EvalRun.evaluate",
      "store intent/finish/EvalRun.evaluate",
      "store result/generation",
      "store blob/put",
    ]) {
      expect(sites).toContain(expected);
    }
  });
});

describe("killed", () => {
  it.each(points.map((point) => [describePoint(point), point] as const))(
    "%s",
    async (title, point) => {
      const outcome = await crash(point);
      console.log(`${title}: ${outcome.modelCalls} model calls, ${outcome.repeatedCalls} repeated`);
      expect(outcome.kills).toBe(1);
      expect.soft([...outcome.comments.values()], "comments of each pull request").toEqual([1]);
      expect.soft(doubledWrites(outcome.forgeWrites), "forge writes that were doubled").toEqual([]);
      expect.soft(outcome.repeatedCalls, "model calls repeated").toBeLessThanOrEqual(CONCURRENCY);
      expect.soft(outcome.endState).toEqual(calm.endState);
    },
    300_000,
  );
});

/** How many writes a site has depends on timing: where the last of the undisturbed run is not reached, this run's is. */
async function crash(point: KillPoint): Promise<Outcome> {
  for (let next = point, tries = 1; ; tries++) {
    try {
      return await runScenario(world, next);
    } catch (error) {
      if (!(error instanceof NotReached) || error.reached === 0 || tries === 3) throw error;
      next = { ...next, nth: error.reached };
    }
  }
}
