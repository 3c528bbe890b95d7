import { afterAll, describe, expect, it } from "vitest";
import { type ChainOutcome, runChain } from "./chain.ts";
import { REVISION, type Registered, registered } from "./chain-registry.ts";
import { ALIAS } from "./chain-story.ts";
import { createChainWorld } from "./chain-world.ts";
import { describePoint, type KillPoint, parsePoint } from "./kill-switch.ts";
import { groups, killPoints, sample, seedOf, tableOf } from "./plan.ts";

/*
 * Dataset, FineTuneJob, ModelDeployment in the cluster, EvalSuite and Monitor: killed at each write of an undisturbed
 * run, as crash.test.ts does with the path of prompts. Several kills share a run, each at another site, because a run
 * takes long; SLIPWAY_CRASH_CHAIN='api apply Job#1:after,store report/put/Succeeded#1:before' names the kills of one.
 */
const world = await createChainWorld();
const calm = await runChain(world);
// How many Events there are depends on what is told before a kill and after it: crash.test.ts kills at those.
const all = killPoints(calm.sites).filter(({ site }) => !site.endsWith(" Event"));
// After a kill on the way to the provider the next process looks for a job for 52 s before it makes one: one such kill
// is what a sample has time for, and never none.
const isSlow = ({ site }: KillPoint) => site.startsWith("provider ");
const slow = all.filter(isSlow);
const quick = all.filter((point) => !isSlow(point));
const seed = seedOf(process.env);
const { SLIPWAY_CRASH_ALL, SLIPWAY_CRASH_CHAIN: only } = process.env;
const KILLS_A_RUN = 8;
const runs = only
  ? [only.split(",").map(parsePoint)]
  : SLIPWAY_CRASH_ALL === "1"
    ? groups(all, KILLS_A_RUN)
    : [[...sample(quick, 3, seed), ...sample(slow, 1, seed)]];
const points = runs.flat();
console.log(
  `chain: ${calm.sites.size} sites, ${all.length} kills, ${points.length} of them in ${runs.length} runs with SLIPWAY_CRASH_SEED=${seed}:\n${tableOf(calm.sites, points)}`,
);

afterAll(() => world[Symbol.asyncDispose]());

const ONCE = { runs: 1, versions: 1 };
const countsOf = ({ runs, versions }: Registered) => ({ runs: runs.length, versions: versions.length });

/** What holds of every run, however often the controller was killed. */
function expectOnce(outcome: ChainOutcome): void {
  // Rows from outside are prepared once; each of two revisions is trained once.
  const made = outcome.jobsMade.map((name) => name.replace(/-[0-9a-f]+$/, ""));
  expect.soft(made.toSorted(), "Jobs that were made").toEqual(["tuned", "tuned", "web"]);
  expect.soft(new Set(outcome.jobsMade).size, "different Jobs").toBe(3);
  expect.soft(outcome.registered.map(countsOf), "in MLflow of each revision").toEqual([ONCE, ONCE]);
  expect.soft(outcome.providerJobs, "jobs that the provider is paid for").toBe(1);
  expect.soft(outcome.providerFiles, "files that the provider was given").toHaveLength(1);
  expect.soft(new Set(outcome.told).size, "transitions that were told").toBe(1);
  expect.soft(outcome.pullRequests).toEqual(["slipway/<namespace>/monitor-triage"]);
  expect.soft(outcome.damagedBlobs).toEqual([]);
  expect.soft(outcome.podTrouble).toEqual([]);
  expect.soft(world.provider.violations).toEqual([]);
}

describe("the chain", () => {
  it("does each thing once when nobody disturbs it", () => {
    expect(calm.kills).toBe(0);
    expectOnce(calm);
    expect(calm.told).toHaveLength(1);
  });

  it("leaves a version of each revision in MLflow, which says what it is of; the last has the alias", () => {
    for (const [i, { revision, runs, versions }] of calm.registered.entries()) {
      const artifact = versions[0]?.source.replace("slipway-artifact:/", "");
      const tags = {
        [REVISION]: revision,
        "slipway.object": `${calm.namespace}/tuned`,
        "slipway.artifact": artifact,
      };
      expect(runs).toMatchObject([{ status: "FINISHED", tags }]);
      const aliases = i + 1 === calm.registered.length ? [ALIAS] : [];
      expect(versions).toMatchObject([{ version: String(i + 1), run: runs[0]?.id, aliases, tags }]);
    }
  });

  it("would be seen to register something twice", async () => {
    const { mlflow } = world;
    const { namespace: name } = calm;
    const { revision, versions } = calm.registered[0]!;
    const tags = [{ key: REVISION, value: revision }];
    const { run, source } = versions[0]!;
    await mlflow.post("runs/create", { experiment_id: await mlflow.experimentId(name), tags });
    await mlflow.post("model-versions/create", { name, source, run_id: run, tags });
    const found = await registered(mlflow, name);
    expect(found.map(countsOf)).toEqual([{ runs: 2, versions: 2 }, ONCE]);
  });

  it("passes the API server, the store, the provider, the forge and the webhook", () => {
    expect([...calm.sites.keys()]).toEqual(
      expect.arrayContaining([
        "api apply Job",
        "api create Secret",
        "api apply Deployment",
        "api apply Service",
        "api patch Dataset/status",
        "api patch FineTuneJob/status",
        "api patch ModelDeployment/status",
        "api patch Monitor/status",
        "store report/put/Succeeded",
        "store report/upload/EvalSuite",
        "store report/upload/FineTuneJob",
        "store blob/put",
        "store intent/begin/FineTuneJob.submit",
        "provider POST /v1/files",
        "provider POST /v1/fine_tuning/jobs",
        "forge POST /pulls",
        "webhook POST /monitor",
      ]),
    );
  });

  it.each(runs.map((kills, i) => [i + 1, kills.map(describePoint).join(", "), kills] as const))(
    "run %i is the same after kills at %s",
    async (number, _, kills) => {
      const started = performance.now();
      let left: readonly KillPoint[] = kills;
      for (let tries = 1; left.length > 0; tries++) {
        const outcome = await runChain(world, left);
        expectOnce(outcome);
        expect.soft(outcome.state).toEqual(calm.state);
        const missed = missedPoints(left, outcome.sites, tries);
        // Two points that come at the same moment are one kill.
        const reached = left.length - missed.length;
        expect(outcome.kills).toBeLessThanOrEqual(reached);
        if (reached > 0) expect(outcome.kills).toBeGreaterThan(0);
        if (tries === 3) expect(missed.map(describePoint), "points that no run came to").toEqual([]);
        left = missed;
        const seconds = Math.round((performance.now() - started) / 1000);
        console.log(`run ${number}, try ${tries}: ${outcome.kills} kills, ${reached} points, ${seconds} s`);
      }
    },
    900_000,
  );
});

/**
 * How many writes a site has depends on timing: where the last of the undisturbed run does not come, one of the last of
 * this run is tried.
 */
function missedPoints(
  points: readonly KillPoint[],
  sites: ReadonlyMap<string, number>,
  tries: number,
): KillPoint[] {
  return points.flatMap((point) => {
    const count = sites.get(point.site) ?? 0;
    return count >= point.nth ? [] : [{ ...point, nth: Math.max(1, count + 1 - tries) }];
  });
}
